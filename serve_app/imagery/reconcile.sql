-- name: find_known_objects
select object_key from object_uses where object_key = any(%(keys)s)
union
select object_key from uploads where object_key = any(%(keys)s) and status = 'open'

-- name: find_imagery_of_ids
select id, tenant_id, object_key, assets from imagery where id = any(%(ids)s)

-- name: list_files
select id, tenant_id, object_key, assets from imagery
where %(after)s::uuid is null or id > %(after)s
order by id
limit %(limit)s
