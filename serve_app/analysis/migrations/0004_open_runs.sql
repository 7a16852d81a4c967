-- What is not finished is few among many: counted every few seconds, for metrics.
create index analysis_runs_open on analysis_runs (status) where status in ('queued', 'processing');
