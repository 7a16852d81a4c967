-- name: backlog
-- Jobs that may start now; how long the oldest has been waiting since it was written. Successful jobs are deleted, so there
-- are few others to look through.
select queue_name as queue, count(*) as jobs, extract(epoch from now() - (
    select min(at) from procrastinate_events where job_id = min(jobs.id) and type = 'deferred'
))::float8 as oldest_s
from procrastinate_jobs as jobs
where status = 'todo' and (scheduled_at is null or scheduled_at <= now())
group by queue_name

-- name: put_back_own
-- procrastinate's own function, for a job that is still this worker's.
with own as (
    select id from procrastinate_jobs
    where id = %(job_id)s and status = 'doing' and worker_id is not distinct from %(worker_id)s
    for update
)
select id, procrastinate_retry_job_v2(id, %(retry_at)s, %(priority)s, null, null) from own

-- name: finish_own
-- The same for its end.
with own as (
    select id from procrastinate_jobs
    where id = %(job_id)s and status = 'doing' and worker_id is not distinct from %(worker_id)s
    for update
)
select id, procrastinate_finish_job_v1(id, %(status)s::procrastinate_job_status, %(delete_job)s) from own
