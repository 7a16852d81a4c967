-- Requests that carry an Idempotency-Key. Without a status: under way while leased, and then free for a repeat, which works under
-- the same subject. The key's digest stands for it, for clients may take anything for a key.
create table idempotency_keys (
    tenant_id text not null,
    key_sha256 bytea not null,
    fingerprint text,
    subject uuid not null,
    holder uuid not null,
    leased_until timestamptz not null,
    status integer,
    headers jsonb,
    body text,
    expires_at timestamptz not null,
    primary key (tenant_id, key_sha256)
);

create index idempotency_keys_by_expiry on idempotency_keys (expires_at);
