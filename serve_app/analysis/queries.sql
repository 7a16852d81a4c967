-- name: insert_run
-- The turn: see orthoray.turns. What has been attempted before keeps its place, and says nothing of where the queue stands.
insert into analysis_runs (
    id, tenant_id, imagery_id, index_type, auto_report, language, crop, thresholds, bands, options,
    imagery_bucket, imagery_object_key, imagery, captured_at, callback, callback_status, priority, turn
) values (
    %(id)s, %(tenant)s, %(imagery_id)s, %(index_type)s, %(auto_report)s, %(language)s, %(crop)s, %(thresholds)s,
    %(bands)s, %(options)s, %(imagery_bucket)s, %(imagery_object_key)s, %(imagery)s, %(captured_at)s,
    %(callback)s::text,
    case when %(callback)s::text is not null then 'waiting' end, %(priority)s,
    greatest(
        0,
        least(
            (select min(turn) from analysis_runs
             where status = 'queued' and attempts = 0 and priority = %(priority)s),
            (select min(turn) from analysis_runs
             where status = 'queued' and attempts = 0 and priority = %(beside)s)
        ),
        1 + (select max(turn) from analysis_runs
             where status = 'queued' and attempts = 0 and tenant_id = %(tenant)s and priority = %(priority)s),
        1 + (select max(turn) from analysis_runs
             where status = 'queued' and attempts = 0 and tenant_id = %(tenant)s and priority = %(above)s)
    )
)
on conflict (id) do nothing
returning *

-- name: count_waiting
-- Of those that wait for a first attempt; no more are looked at than the question needs.
select count(*) as rows from (
    select from analysis_runs where tenant_id = %(tenant)s and status = 'queued' and attempts = 0 limit %(most)s + 1
) as waiting

-- name: get_run
select analysis_runs.*, (
    select coalesce(json_agg(to_jsonb(made) - 'subject' order by number), '[]')
    from attempts as made where subject = analysis_runs.id
) as history
from analysis_runs where tenant_id = %(tenant)s and id = %(id)s

-- name: get_many_runs
select analysis_runs.*, (
    select coalesce(json_agg(to_jsonb(made) - 'subject' order by number), '[]')
    from attempts as made where subject = analysis_runs.id
) as history
from analysis_runs where tenant_id = %(tenant)s and id = any(%(ids)s)

-- name: list_runs
select analysis_runs.*, (
    select coalesce(json_agg(to_jsonb(made) - 'subject' order by number), '[]')
    from attempts as made where subject = analysis_runs.id
) as history
from analysis_runs
where tenant_id = %(tenant)s
  and (created_at, id) < (%(before)s::timestamptz, %(before_id)s)
  and (%(imagery_id)s::uuid is null or imagery_id = %(imagery_id)s)
  and (%(status)s::text is null or status = %(status)s)
order by created_at desc, id desc
limit %(limit)s + 1

-- name: list_runs_of_imagery
select runs.*, (
    select coalesce(json_agg(to_jsonb(made) - 'subject' order by number), '[]')
    from attempts as made where subject = runs.id
) as history
from unnest(%(imagery_ids)s::uuid[]) as wanted(id)
cross join lateral (
    select * from analysis_runs
    where tenant_id = %(tenant)s and imagery_id = wanted.id
      and (created_at, analysis_runs.id) < (%(before)s::timestamptz, %(before_id)s)
      and (%(status)s::text is null or status = %(status)s)
    order by created_at desc, analysis_runs.id desc
    limit %(limit)s + 1
) as runs
order by runs.created_at desc, runs.id desc

-- name: cancel_run
update analysis_runs set status = 'cancelled', completed_at = now()
where tenant_id = %(tenant)s and id = %(id)s and status in ('queued', 'processing')
returning *

-- name: delete_run
delete from analysis_runs
where tenant_id = %(tenant)s and id = %(id)s and status not in ('queued', 'processing')
returning id

-- name: delete_runs_of_imagery
delete from analysis_runs where tenant_id = %(tenant)s and imagery_id = %(imagery_id)s returning *

-- name: lock_run
select * from analysis_runs where id = %(id)s for update

-- name: start_run
update analysis_runs
set status = 'processing', attempts = attempts + 1, progress = 0, started_at = coalesce(started_at, now())
where id = %(id)s and status in ('queued', 'processing')
returning *

-- name: put_back_run
update analysis_runs set status = 'queued', progress = 0, last_error = %(reason)s
where id = %(id)s and status = 'processing' and attempts = %(attempt)s
returning id

-- name: report_progress
update analysis_runs set progress = greatest(progress, %(progress)s)
where id = %(id)s and status = 'processing' and attempts = %(attempt)s
returning id

-- name: complete_run
update analysis_runs
set status = 'completed', progress = 1, completed_at = now(), heatmap_bucket = %(heatmap_bucket)s,
    heatmap_key = %(heatmap_key)s, index_key = %(index_key)s, stats = %(stats)s, conclusion = %(conclusion)s,
    statistics = %(statistics)s, legend = %(legend)s, provenance = %(provenance)s,
    warnings = %(warnings)s, error = null
where id = %(id)s and status = 'processing' and attempts = %(attempt)s
returning *

-- name: fail_run
update analysis_runs set status = 'failed', completed_at = now(), error = %(reason)s, last_error = %(reason)s
where id = %(id)s and status in ('queued', 'processing') and attempts = %(attempt)s
returning *

-- name: set_callback_event
update analysis_runs set callback_event = %(event)s::json where id = %(id)s

-- name: start_callback
update analysis_runs set callback_attempts = callback_attempts + 1
where id = %(id)s and callback_status = 'waiting' and callback_event is not null
returning id as subject, tenant_id as tenant, callback as url, callback_event::text as body,
          callback_event->>'id' as event_id, callback_attempts as attempts

-- name: end_callback
update analysis_runs
set callback_status = %(status)s, callback_error = %(error)s
where id = %(id)s and callback_status = 'waiting'
returning id

-- name: keys_of_run
-- Of any tenant, for ids are; null where it has no result.
select status, attempts, heatmap_key, index_key from analysis_runs where id = %(id)s

-- name: standings
select id, tenant_id as tenant, status, progress, attempts, error from analysis_runs where id = any(%(ids)s)

-- name: count_open_runs
select status, count(*) as rows from analysis_runs where status in ('queued', 'processing') group by status

-- name: seen_results
-- For orthoray/item_rows.sql: a result is where and when its image is, as `seen_imagery` of the imagery-service tells.
from analysis_runs cross join lateral (
    select west, south, east, north, imagery->'footprint' as footprint,
           date_trunc('milliseconds', coalesce(captured_at, 'epoch')) as since,
           date_trunc('milliseconds', coalesce(
               captured_at, greatest((imagery->>'created_at')::timestamptz, 'epoch')
           )) as until,
           captured_at is null as undated
) as seen
where tenant_id = %(tenant)s and status = 'completed'
  and (%(indices)s::text[] is null or index_type = any (%(indices)s::text[]))
