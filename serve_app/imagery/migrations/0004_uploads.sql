-- Identical content is stored once for each tenant: an object, and which imagery uses it. The canonical object of a content is
-- the one that further uploads of it share; older installations may have several objects of one content.
alter table imagery drop constraint imagery_object_key_key;

create table stored_objects (
    object_key text primary key,
    tenant_id text not null,
    sha256 text not null,
    size_bytes bigint not null,
    canonical boolean not null default true,
    created_at timestamptz not null default clock_timestamp()
);

create unique index stored_objects_by_content on stored_objects (tenant_id, sha256) where canonical;

create table object_uses (
    object_key text not null references stored_objects,
    imagery_id uuid not null references imagery on delete cascade,
    primary key (object_key, imagery_id)
);

create index object_uses_of_imagery on object_uses (imagery_id);

create temporary table files_of_rows on commit drop as
select imagery.id, imagery.tenant_id, imagery.created_at, file->>'object_key' as object_key, file->>'sha256' as sha256,
       (file->>'size_bytes')::bigint as size_bytes
from imagery, lateral jsonb_array_elements(
    case when assets = '[]' then jsonb_build_array(
        jsonb_build_object('object_key', object_key, 'sha256', sha256, 'size_bytes', size_bytes)
    ) else assets end
) as file;

insert into stored_objects (object_key, tenant_id, sha256, size_bytes, canonical, created_at)
select object_key, tenant_id, sha256, size_bytes,
       row_number() over (partition by tenant_id, sha256 order by created_at, object_key) = 1, created_at
from (select distinct on (object_key) * from files_of_rows order by object_key, created_at) as objects;

insert into object_uses (object_key, imagery_id) select distinct object_key, id from files_of_rows;

-- Files that arrive in parts. A row outlives its completion for a while, so that completing again gives the same answer.
create table uploads (
    id uuid primary key,
    tenant_id text not null default 'default',
    imagery_id uuid not null,
    status text not null default 'open' check (status in ('open', 'completed', 'refused')),
    filename text not null,
    size_bytes bigint not null,
    part_bytes bigint not null,
    sha256 text,
    facts jsonb not null,
    object_key text not null unique,
    token text not null,
    error jsonb,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
);

create index uploads_open on uploads (tenant_id) where status = 'open';
create index uploads_by_expiry on uploads (expires_at);
