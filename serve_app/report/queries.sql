-- name: request_report
-- A failed report is queued again by a new request; any other stays as it is.
insert into reports (id, tenant_id, analysis_run_id, language, imagery_key, heatmap_key, stats, conclusion)
values (%(id)s, %(tenant)s, %(run_id)s, %(language)s, %(imagery_key)s, %(heatmap_key)s, %(stats)s,
        %(conclusion)s)
on conflict (analysis_run_id, language) do update
    set status = 'queued', error = null, completed_at = null, requested_at = clock_timestamp()
    where reports.status = 'failed' and reports.tenant_id = excluded.tenant_id
returning *

-- name: get_report
select * from reports where tenant_id = %(tenant)s and id = %(id)s

-- name: list_reports
select * from reports
where tenant_id = %(tenant)s
  and (created_at, id) < (%(before)s::timestamptz, %(before_id)s)
  and (%(run_id)s::uuid is null or analysis_run_id = %(run_id)s)
  and (%(status)s::text is null or status = %(status)s)
order by created_at desc, id desc
limit %(limit)s + 1

-- name: delete_report
delete from reports where tenant_id = %(tenant)s and id = %(id)s returning id

-- name: delete_reports_of_run
delete from reports where tenant_id = %(tenant)s and analysis_run_id = %(run_id)s returning id

-- name: start_report
update reports set status = 'processing', attempts = attempts + 1, started_at = coalesce(started_at, now())
where id = %(id)s and status in ('queued', 'processing')
returning *

-- name: complete_report
update reports
set status = 'completed', completed_at = now(), report_bucket = %(bucket)s, report_key = %(key)s, error = null
where id = %(id)s and status = 'processing'
returning *

-- name: fail_report
update reports set status = 'failed', completed_at = now(), error = %(reason)s
where id = %(id)s and status in ('queued', 'processing')
returning *

-- name: report_exists
select id from reports where id = %(id)s

-- name: count_open_reports
select status, count(*) as rows from reports where status in ('queued', 'processing') group by status
