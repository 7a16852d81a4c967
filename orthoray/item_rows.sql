-- The services say before this what is `seen`: west, south, east, north, footprint (GeoJSON, or null where the place is a point),
-- since, until (one moment twice, or the span in which it lies), undated.

-- name: extent
count(*) as items,
       min(seen.west) as west, min(seen.south) as south, max(seen.east) as east, max(seen.north) as north,
       coalesce(bool_or(seen.west > seen.east), false) as crosses,
       min(seen.since) as since, max(seen.until) as until, coalesce(bool_or(seen.undated), false) as undated

-- name: matching
  and (created_at, id) < (%(before)s::timestamptz, %(before_id)s)
  and (%(ids)s::uuid[] is null or id = any (%(ids)s::uuid[]))
  and (%(since)s::timestamptz is null or seen.until >= %(since)s::timestamptz)
  and (%(until)s::timestamptz is null or seen.since <= %(until)s::timestamptz)
  and (%(west)s::float8 is null or (
      seen.south <= %(north)s::float8 and seen.north >= %(south)s::float8
      and case
          when seen.west > seen.east and %(west)s::float8 > %(east)s::float8 then true
          when seen.west > seen.east or %(west)s::float8 > %(east)s::float8
              then seen.west <= %(east)s::float8 or seen.east >= %(west)s::float8
          else seen.west <= %(east)s::float8 and seen.east >= %(west)s::float8
      end))
  -- A footprint has one ring, or one on each side of the antimeridian. An area's hole hides what lies wholly in it.
  and (%(outlines)s::text[] is null or exists (
      select from jsonb_array_elements(case seen.footprint->>'type'
          when 'Polygon' then jsonb_build_array(seen.footprint->'coordinates')
          when 'MultiPolygon' then seen.footprint->'coordinates'
          else jsonb_build_array(jsonb_build_array(jsonb_build_array(jsonb_build_array(seen.west, seen.south))))
      end) as part
      cross join lateral (
          select ('(' || string_agg('(' || (place->>0) || ',' || (place->>1) || ')', ',' order by number) || ')')::polygon as shape
          from jsonb_array_elements(part->0) with ordinality as ring (place, number)
      ) as own
      join unnest(%(outlines)s::text[]::polygon[]) with ordinality as area (outline, number) on own.shape && area.outline
      where not exists (
          select from unnest(%(holes)s::text[]::polygon[], %(holes_of)s::bigint[]) as hole (outline, number)
          where hole.number = area.number and own.shape <@ hole.outline
      )))
order by created_at desc, id desc
limit %(limit)s + 1
