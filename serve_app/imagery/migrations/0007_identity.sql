-- What a key allows, until when, and when it was last used. Keys that are there may do everything, as before.
alter table api_keys
    add column scopes text[] not null default '{admin}',
    add column expires_at timestamptz,
    add column last_used_at timestamptz;

alter table api_keys alter column scopes drop default;

-- Who changed what. Without a status: under way, or its end was not learnt. Nothing removes rows but `orthoray audit --keep`.
create table audit_log (
    id uuid primary key,
    tenant_id text not null,
    caller text not null,
    method text not null,
    path text not null,
    route text,
    ids jsonb not null default '{}',
    location text,
    status integer,
    request_id text,
    began_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz
);

create index audit_log_newest_first on audit_log (began_at desc);
create index audit_log_of_tenant on audit_log (tenant_id, began_at desc);
