-- The credentials of the gateway: only a digest of a key is kept.
create table api_keys (
    id uuid primary key,
    tenant_id text not null default 'default',
    name text not null,
    prefix text not null,
    sha256 text not null unique,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
