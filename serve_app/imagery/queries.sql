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
select id, tenant_id from api_keys where sha256 = %(sha256)s and revoked_at is null

-- name: insert_key
insert into api_keys (id, tenant_id, name, prefix, sha256)
values (%(id)s, %(tenant)s, %(name)s, %(prefix)s, %(sha256)s)
on conflict (sha256) do nothing
