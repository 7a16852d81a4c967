-- What is not finished is few among many: counted every few seconds, for metrics.
create index reports_open on reports (status) where status in ('queued', 'processing');
