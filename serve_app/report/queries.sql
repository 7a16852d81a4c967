-- name: request_report
-- A failed report is queued again by a new request, and tells its new end to whom it had to tell, unless the request names
-- somebody else; any other stays as it is. The turn: see orthoray.turns.
insert into reports (
    id, tenant_id, analysis_run_id, language, imagery_key, heatmap_key, stats, conclusion, callback, callback_status,
    priority, numbered_from, turn
) values (
    %(id)s, %(tenant)s, %(run_id)s, %(language)s, %(imagery_key)s, %(heatmap_key)s, %(stats)s, %(conclusion)s,
    %(callback)s::text, case when %(callback)s::text is not null then 'waiting' end, %(priority)s, (select coalesce(max(number), 0) from attempts where subject = %(id)s),
    greatest(
        0,
        least(
            (select min(turn) from reports
             where status = 'queued' and attempts = 0 and priority = %(priority)s),
            (select min(turn) from reports
             where status = 'queued' and attempts = 0 and priority = %(beside)s)
        ),
        1 + (select max(turn) from reports
             where status = 'queued' and attempts = 0 and tenant_id = %(tenant)s and priority = %(priority)s),
        1 + (select max(turn) from reports
             where status = 'queued' and attempts = 0 and tenant_id = %(tenant)s and priority = %(above)s)
    )
)
on conflict (analysis_run_id, language) do update
    set status = 'queued', error = null, last_error = null, completed_at = null, started_at = null, attempts = 0,
        numbered_from = reports.numbered_from + reports.attempts, priority = excluded.priority, turn = excluded.turn,
        requested_at = clock_timestamp(), callback = coalesce(excluded.callback, reports.callback),
        callback_status = case when coalesce(excluded.callback, reports.callback) is not null then 'waiting' end,
        callback_attempts = 0, callback_error = null, callback_event = null
    where reports.status = 'failed' and reports.tenant_id = excluded.tenant_id
returning *

-- name: count_waiting
-- Of those that wait for a first attempt; no more are looked at than the question needs.
select count(*) as rows from (
    select from reports where tenant_id = %(tenant)s and status = 'queued' and attempts = 0 limit %(most)s + 1
) as waiting

-- name: get_report
select reports.*, (
    select coalesce(
        json_agg(to_jsonb(made) - 'subject' || jsonb_build_object('number', number - numbered_from) order by number),
        '[]'
    ) from attempts as made where subject = reports.id and number > numbered_from
) as history
from reports where tenant_id = %(tenant)s and id = %(id)s

-- name: get_many_reports
select reports.*, (
    select coalesce(
        json_agg(to_jsonb(made) - 'subject' || jsonb_build_object('number', number - numbered_from) order by number),
        '[]'
    ) from attempts as made where subject = reports.id and number > numbered_from
) as history
from reports where tenant_id = %(tenant)s and id = any(%(ids)s)

-- name: list_reports
select reports.*, (
    select coalesce(
        json_agg(to_jsonb(made) - 'subject' || jsonb_build_object('number', number - numbered_from) order by number),
        '[]'
    ) from attempts as made where subject = reports.id and number > numbered_from
) as history
from reports
where tenant_id = %(tenant)s
  and (created_at, id) < (%(before)s::timestamptz, %(before_id)s)
  and (%(run_id)s::uuid is null or analysis_run_id = %(run_id)s)
  and (%(status)s::text is null or status = %(status)s)
order by created_at desc, id desc
limit %(limit)s + 1

-- name: list_reports_of_runs
select found.*, (
    select coalesce(
        json_agg(to_jsonb(made) - 'subject' || jsonb_build_object('number', number - numbered_from) order by number),
        '[]'
    ) from attempts as made where subject = found.id and number > numbered_from
) as history
from unnest(%(run_ids)s::uuid[]) as wanted(id)
cross join lateral (
    select * from reports
    where tenant_id = %(tenant)s and analysis_run_id = wanted.id
      and (created_at, reports.id) < (%(before)s::timestamptz, %(before_id)s)
      and (%(status)s::text is null or status = %(status)s)
    order by created_at desc, reports.id desc
    limit %(limit)s + 1
) as found
order by found.created_at desc, found.id desc

-- name: delete_report
delete from reports where tenant_id = %(tenant)s and id = %(id)s returning id

-- name: delete_reports_of_run
delete from reports where tenant_id = %(tenant)s and analysis_run_id = %(run_id)s returning id

-- name: lock_report
select * from reports where id = %(id)s for update

-- name: find_report
select * from reports where id = %(id)s and status in ('queued', 'processing')

-- name: start_report
update reports set status = 'processing', attempts = attempts + 1, started_at = coalesce(started_at, now())
where id = %(id)s and status in ('queued', 'processing')
returning *

-- name: put_back_report
update reports set status = 'queued', last_error = %(reason)s
where id = %(id)s and status = 'processing' and numbered_from + attempts = %(attempt)s
returning id

-- name: complete_report
update reports
set status = 'completed', completed_at = now(), report_bucket = %(bucket)s, report_key = %(key)s, error = null
where id = %(id)s and status = 'processing' and numbered_from + attempts = %(attempt)s
returning *

-- name: fail_report
update reports set status = 'failed', completed_at = now(), error = %(reason)s, last_error = %(reason)s
where id = %(id)s and status in ('queued', 'processing') and numbered_from + attempts = %(attempt)s
returning *

-- name: keys_of_report
-- Null where it has no result.
select status, numbered_from + attempts as number, report_key from reports where id = %(id)s

-- name: standings
select id, tenant_id as tenant, status, attempts, error from reports where id = any(%(ids)s)

-- name: count_open_reports
select status, count(*) as rows from reports where status in ('queued', 'processing') group by status

-- name: set_callback
-- Of a report that tells nobody yet and has not ended.
update reports set callback = %(callback)s, callback_status = 'waiting'
where tenant_id = %(tenant)s and id = %(id)s and callback is null and status in ('queued', 'processing')
returning id

-- name: set_callback_event
update reports set callback_event = %(event)s::json where id = %(id)s

-- name: start_callback
update reports set callback_attempts = callback_attempts + 1
where id = %(id)s and callback_status = 'waiting' and callback_event is not null
returning id as subject, tenant_id as tenant, callback as url, callback_event::text as body,
          callback_event->>'id' as event_id, callback_attempts as attempts

-- name: end_callback
update reports
set callback_status = %(status)s, callback_error = %(error)s
where id = %(id)s and callback_status = 'waiting'
returning id
