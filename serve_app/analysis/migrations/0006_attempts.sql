-- Every attempt to compute a run, counted before it starts. No reference to the run: it outlives it until nobody can be at it
-- any more (`orthoray.attempts`).
create table attempts (
    subject uuid not null,
    number integer not null,
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    outcome text check (outcome in ('completed', 'failed', 'lost', 'unavailable', 'cancelled')),
    reason text,
    node text,
    primary key (subject, number),
    check ((outcome is null) = (ended_at is null))
);

-- `turn` is the place in the fair order of tenants (`orthoray.turns`).
alter table analysis_runs
    add column priority text not null default 'normal' check (priority in ('low', 'normal', 'high')),
    add column turn integer not null default 0,
    add column last_error text;

-- Who waits for a first attempt: looked at by every request.
create index analysis_runs_waiting on analysis_runs (priority, turn) where status = 'queued' and attempts = 0;
create index analysis_runs_waiting_by_tenant on analysis_runs (tenant_id, priority, turn) where status = 'queued' and attempts = 0;
