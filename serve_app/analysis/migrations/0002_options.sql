-- How a run is computed and drawn, and what its reader has to know; thresholds may also name a method.
alter table analysis_runs
    alter column thresholds type jsonb using to_jsonb(thresholds),
    add column options jsonb not null default '{}',
    add column warnings json not null default '[]';
