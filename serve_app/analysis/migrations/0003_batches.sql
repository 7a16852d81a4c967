-- Many images analysed in one job: the batch, and one row for each of its images.
create table batches (
    id uuid primary key,
    tenant_id text not null default 'default',
    request jsonb not null,
    bucket text not null,
    prefix text not null,
    place text not null,
    status text not null default 'running' check (status in ('running', 'completed', 'failed')),
    error text,
    created_at timestamptz not null default clock_timestamp(),
    completed_at timestamptz
);

create index batches_newest_first on batches (tenant_id, created_at desc, id desc);

-- Sources are compared by their bytes, so that pages follow one order wherever the database was made.
create table batch_items (
    batch_id uuid not null references batches on delete cascade,
    source text collate "C" not null,
    version text not null,
    name text not null,
    parameters text not null,
    listing uuid not null,
    status text not null default 'waiting' check (status in ('waiting', 'processing', 'completed', 'failed')),
    attempts integer not null default 0,
    error text,
    key text,
    result json,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (batch_id, source),
    check ((status = 'completed') = (result is not null))
);

create index batch_items_by_key on batch_items (key) where status = 'completed';
