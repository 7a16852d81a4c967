-- name: open_batch
insert into batches (id, tenant_id, request, bucket, prefix, listing)
values (%(id)s, %(tenant)s, %(request)s, %(bucket)s, %(prefix)s, %(listing)s)
on conflict (id) do update
set status = 'running', error = null, completed_at = null, request = excluded.request,
    bucket = excluded.bucket, prefix = excluded.prefix, listing = excluded.listing, seen_at = clock_timestamp()

-- name: hold_batch
-- The row stays locked until the transaction ends, so no other job takes over in the middle of it.
update batches set seen_at = clock_timestamp()
where id = %(batch)s and listing = %(listing)s
returning id

-- name: enlist
insert into batch_items (batch_id, source, version, name, parameters, listing)
select %(batch)s, source, version, name, %(parameters)s, %(listing)s
from unnest(%(sources)s::text[], %(versions)s::text[], %(names)s::text[]) as listed (source, version, name)
on conflict (batch_id, source) do update
set listing = excluded.listing, version = excluded.version, name = excluded.name,
    parameters = excluded.parameters,
    status = 'waiting', attempts = 0, error = null, key = null, result = null
where batch_items.status <> 'completed'
   or batch_items.version <> excluded.version
   or batch_items.parameters <> excluded.parameters

-- name: keep_completed
update batch_items set listing = %(listing)s
where batch_id = %(batch)s and source = any (%(sources)s::text[])

-- name: drop_others
delete from batch_items where batch_id = %(batch)s and listing <> %(listing)s

-- name: waiting_items
select source from batch_items where batch_id = %(batch)s and status <> 'completed' order by source

-- name: start_item
update batch_items set status = 'processing', attempts = attempts + 1, updated_at = clock_timestamp()
where batch_id = %(batch)s and source = %(source)s and version = %(version)s and parameters = %(parameters)s
  and status in ('waiting', 'processing')
  and exists (select from batches where id = batch_id and batches.listing = %(listing)s)
returning attempts

-- name: find_result
select items.result from batch_items as items join batches on batches.id = items.batch_id
where items.key = %(key)s and items.status = 'completed' and batches.tenant_id = %(tenant)s
limit 1

-- name: complete_item
update batch_items
set status = 'completed', key = %(key)s, result = %(result)s, error = null, updated_at = clock_timestamp()
where batch_id = %(batch)s and source = %(source)s and version = %(version)s and parameters = %(parameters)s
  and status in ('waiting', 'processing')
returning source

-- name: fail_item
-- A failure may be of the job and not of the image, so only the batch's own job tells of one.
update batch_items set status = 'failed', error = %(reason)s, updated_at = clock_timestamp()
where batch_id = %(batch)s and source = %(source)s and version = %(version)s and parameters = %(parameters)s
  and status in ('waiting', 'processing')
  and exists (select from batches where id = batch_id and batches.listing = %(listing)s)
returning source

-- name: batch_items
select source, version, name, status, error, result from batch_items
where batch_id = %(batch)s and source > %(after)s
order by source
limit %(limit)s

-- name: close_batch
update batches
set status = case when %(error)s::text is null then 'completed' else 'failed' end, error = %(error)s,
    completed_at = now()
where id = %(batch)s and listing = %(listing)s and status = 'running'

-- name: get_batch
select batches.*, counted.*, seen_at < now() - %(silence)s as is_silent from batches
cross join lateral (
    select count(*) as total,
           count(*) filter (where status = 'completed') as completed,
           count(*) filter (where status = 'failed') as failed
    from batch_items where batch_id = batches.id
) as counted
where tenant_id = %(tenant)s and id = %(id)s

-- name: list_batches
select batches.*, counted.*, seen_at < now() - %(silence)s as is_silent from batches
cross join lateral (
    select count(*) as total,
           count(*) filter (where status = 'completed') as completed,
           count(*) filter (where status = 'failed') as failed
    from batch_items where batch_id = batches.id
) as counted
where tenant_id = %(tenant)s and (created_at, id) < (%(before)s::timestamptz, %(before_id)s)
order by created_at desc, id desc
limit %(limit)s + 1
