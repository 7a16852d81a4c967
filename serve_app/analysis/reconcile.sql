-- name: find_known_runs
-- `keys` null: all objects named after it may be wanted.
select id, case when status = 'completed' then array[heatmap_key, index_key] end as keys
from analysis_runs where id = any(%(ids)s) and status in ('queued', 'processing', 'completed')
union all
select id, null from batches where id = any(%(ids)s)

-- name: list_results
select id, tenant_id, heatmap_key, index_key from analysis_runs
where status = 'completed' and (%(after)s::uuid is null or id > %(after)s)
order by id
limit %(limit)s
