create table analysis_runs (
    id uuid primary key,
    tenant_id text not null default 'default',
    imagery_id uuid not null,
    index_type text not null,
    status text not null default 'queued'
        check (status in ('queued', 'processing', 'completed', 'failed', 'cancelled')),
    progress real not null default 0,
    auto_report boolean not null,
    language text not null,
    crop text,
    thresholds double precision[],
    bands text,
    imagery_bucket text not null,
    imagery_object_key text not null,
    imagery jsonb not null,
    heatmap_bucket text,
    heatmap_key text,
    index_key text,
    stats json,
    conclusion text,
    statistics json,
    legend json,
    provenance json,
    error text,
    attempts integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    completed_at timestamptz,
    check ((status = 'completed') = (statistics is not null))
);

create index analysis_runs_newest_first on analysis_runs (tenant_id, created_at desc, id desc);
create index analysis_runs_of_imagery on analysis_runs (imagery_id);
