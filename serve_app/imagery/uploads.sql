-- name: lock_uploads_of_tenant
select pg_advisory_xact_lock(hashtextextended('uploads:' || %(tenant)s, 0))

-- name: count_open_uploads
select count(*) as uploads from uploads where tenant_id = %(tenant)s and status = 'open' and expires_at > now()

-- name: insert_upload
insert into uploads (
    id, tenant_id, imagery_id, filename, size_bytes, part_bytes, sha256, facts, object_key, token, expires_at
) values (
    %(id)s, %(tenant)s, %(imagery_id)s, %(filename)s, %(size_bytes)s, %(part_bytes)s, %(sha256)s, %(facts)s,
    %(object_key)s, %(token)s, now() + %(lifetime)s
)
returning *

-- name: get_upload
select * from uploads where tenant_id = %(tenant)s and id = %(id)s

-- name: resume_upload
update uploads set facts = %(facts)s, expires_at = now() + %(lifetime)s
where id = (
    select id from uploads
    where tenant_id = %(tenant)s and imagery_id = %(imagery_id)s and size_bytes = %(size_bytes)s and status = 'open'
    order by created_at
    limit 1
) and status = 'open'
returning *

-- name: prolong_upload
-- Not for each of a thousand parts.
update uploads set expires_at = now() + %(lifetime)s
where id = %(id)s and status = 'open' and expires_at < now() + %(lifetime)s - interval '1 hour'

-- name: replace_token
update uploads set token = %(token)s where id = %(id)s and token = %(before)s and status = 'open' returning id

-- name: end_upload
update uploads set status = %(status)s, error = %(error)s, expires_at = now() + %(lifetime)s
where id = %(id)s and status = 'open'
returning *

-- name: delete_upload
delete from uploads where tenant_id = %(tenant)s and id = %(id)s returning *

-- name: list_expired_uploads
select * from uploads where expires_at < now() order by expires_at limit %(limit)s

-- name: find_tokens
select token from uploads where token = any(%(tokens)s) and status = 'open'

-- name: try_lock_upload
select pg_try_advisory_lock(hashtextextended('upload:' || %(id)s::text, 0)) as won

-- name: unlock_upload
select pg_advisory_unlock(hashtextextended('upload:' || %(id)s::text, 0))
