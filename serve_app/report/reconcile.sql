-- name: find_known_reports
select id from reports where id = any(%(ids)s) and status in ('queued', 'processing', 'completed')

-- name: list_documents
select id, report_key from reports
where status = 'completed' and report_key is not null and (%(after)s::uuid is null or id > %(after)s)
order by id
limit %(limit)s
