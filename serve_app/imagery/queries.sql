-- name: insert_imagery
insert into imagery (
    id, tenant_id, original_filename, bucket, object_key, content_type, size_bytes, sha256, assets, width, height,
    band_count, dtype, bands, bands_source, bands_reason, alpha_band, sensor, sensor_reason, raw_capture, calibration,
    nodata, crs, transform, footprint, bounds_wgs84, gsd_m, captured_at, gps, camera
) values (
    %(id)s, %(tenant_id)s, %(original_filename)s, %(bucket)s, %(object_key)s, %(content_type)s, %(size_bytes)s,
    %(sha256)s, %(assets)s, %(width)s, %(height)s, %(band_count)s, %(dtype)s, %(bands)s, %(bands_source)s,
    %(bands_reason)s, %(alpha_band)s, %(sensor)s, %(sensor_reason)s, %(raw_capture)s, %(calibration)s, %(nodata)s, %(crs)s,
    %(transform)s, %(footprint)s, %(bounds_wgs84)s, %(gsd_m)s, %(captured_at)s, %(gps)s, %(camera)s
)
on conflict (id) do nothing
returning *

-- name: get_imagery
select * from imagery where tenant_id = %(tenant)s and id = %(id)s

-- name: get_many_imagery
select * from imagery where tenant_id = %(tenant)s and id = any(%(ids)s)

-- name: list_imagery
select * from imagery
where tenant_id = %(tenant)s
  and (created_at, id) < (%(before)s::timestamptz, %(before_id)s)
  and (%(captured_after)s::timestamptz is null or captured_at >= %(captured_after)s)
  and (%(captured_before)s::timestamptz is null or captured_at <= %(captured_before)s)
  and (%(west)s::float8 is null or (
      case when bounds_wgs84 is not null then
          bounds_wgs84[1] <= %(east)s and bounds_wgs84[3] >= %(west)s
          and bounds_wgs84[2] <= %(north)s and bounds_wgs84[4] >= %(south)s
      when gps is not null then
          (gps->>'longitude')::float8 between %(west)s and %(east)s
          and (gps->>'latitude')::float8 between %(south)s and %(north)s
      else false end))
order by created_at desc, id desc
limit %(limit)s + 1

-- name: delete_imagery
delete from imagery where tenant_id = %(tenant)s and id = %(id)s returning *

-- name: find_key
select id, tenant_id, scopes, expires_at, revoked_at,
       expires_at <= now() as is_expired,
       coalesce(last_used_at < now() - interval '1 minute', true) as is_use_worth_noting
from api_keys where sha256 = %(sha256)s

-- name: note_use
update api_keys set last_used_at = now()
where id = %(id)s and coalesce(last_used_at < now() - interval '1 minute', true)

-- name: insert_key
insert into api_keys (id, tenant_id, name, prefix, sha256, scopes, expires_at)
values (%(id)s, %(tenant)s, %(name)s, %(prefix)s, %(sha256)s, %(scopes)s, %(expires_at)s)
on conflict (sha256) do nothing

-- name: list_keys
select id, tenant_id, name, prefix, scopes, created_at, expires_at, last_used_at, revoked_at,
       expires_at <= now() as is_expired
from api_keys
where (%(tenant)s::text is null or tenant_id = %(tenant)s)
order by created_at, id

-- name: keys_called
select id, tenant_id, name, prefix, revoked_at from api_keys
where id::text = %(word)s or prefix = %(word)s or name = %(word)s
order by created_at, id

-- name: revoke_key
update api_keys set revoked_at = now() where id = %(id)s and revoked_at is null

-- name: record_write
insert into audit_log (id, tenant_id, caller, method, path, route, ids, location, status, request_id)
values (%(id)s, %(tenant)s, %(caller)s, %(method)s, %(path)s, %(route)s, %(ids)s, %(location)s, %(status)s, %(request_id)s)
on conflict (id) do update
set route = excluded.route, ids = excluded.ids, location = excluded.location, status = excluded.status,
    ended_at = clock_timestamp()
where audit_log.status is null

-- name: list_writes
select audit_log.*, api_keys.name as key_name
from audit_log left join api_keys on caller = 'key:' || api_keys.id
where (%(tenant)s::text is null or audit_log.tenant_id = %(tenant)s) and began_at >= %(since)s
order by began_at desc, audit_log.id
limit %(limit)s

-- name: forget_writes
delete from audit_log where began_at < %(before)s

-- name: seen_imagery
-- For orthoray/item_rows.sql. Where there is no georeference, the place is the camera's. Moments are those that items show.
from imagery cross join lateral (
    select coalesce(bounds_wgs84[1], (gps->>'longitude')::float8) as west,
           coalesce(bounds_wgs84[2], (gps->>'latitude')::float8) as south,
           coalesce(bounds_wgs84[3], (gps->>'longitude')::float8) as east,
           coalesce(bounds_wgs84[4], (gps->>'latitude')::float8) as north,
           footprint,
           date_trunc('milliseconds', coalesce(captured_at, 'epoch')) as since,
           date_trunc('milliseconds', coalesce(captured_at, greatest(created_at, 'epoch'))) as until,
           captured_at is null as undated
) as seen
where tenant_id = %(tenant)s
