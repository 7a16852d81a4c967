create table reports (
    id uuid primary key,
    tenant_id text not null default 'default',
    analysis_run_id uuid not null,
    status text not null default 'queued'
        check (status in ('queued', 'processing', 'completed', 'failed', 'cancelled')),
    language text not null,
    imagery_key text,
    heatmap_key text,
    stats json,
    conclusion text,
    report_bucket text,
    report_key text,
    error text,
    attempts integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    completed_at timestamptz,
    unique (analysis_run_id, language)
);

create index reports_newest_first on reports (tenant_id, created_at desc, id desc);
