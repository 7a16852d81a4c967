-- name: lock_imagery
-- Cataloguing an imagery and clearing up after it exclude each other, whether there is a row or not.
select pg_advisory_xact_lock(hashtextextended('imagery:' || %(id)s::text, 0))

-- name: claim_content
-- Locks the row that it returns, which the last user of the object has to lock before it deletes it.
insert into stored_objects (object_key, tenant_id, sha256, size_bytes)
values (%(object_key)s, %(tenant)s, %(sha256)s, %(size_bytes)s)
on conflict (tenant_id, sha256) where canonical do update set sha256 = excluded.sha256
returning object_key

-- name: retire_object
update stored_objects set canonical = false where object_key = %(object_key)s

-- name: insert_use
insert into object_uses (object_key, imagery_id) values (%(object_key)s, %(imagery_id)s) on conflict do nothing

-- name: lock_objects_of
select object_key from stored_objects
where tenant_id = %(tenant)s and object_key in (select object_key from object_uses where imagery_id = %(id)s)
order by sha256, object_key
for update

-- name: delete_uses
delete from object_uses where imagery_id = %(id)s and object_key = any(%(keys)s)

-- name: delete_unused_objects
delete from stored_objects
where object_key = any(%(keys)s)
  and not exists (select from object_uses where object_uses.object_key = stored_objects.object_key)
returning object_key

-- name: find_claimed
select object_key from stored_objects where object_key = any(%(keys)s)
