-- name: find_known_reports
-- `keys` null: all objects named after it may be wanted.
select id, case when status = 'completed' then array[report_key] end as keys
from reports where id = any(%(ids)s) and status in ('queued', 'processing', 'completed')

-- name: list_documents
select id, report_key from reports
where status = 'completed' and report_key is not null and (%(after)s::uuid is null or id > %(after)s)
order by id
limit %(limit)s
