-- Results are searched by the place and time of their image, and listed by their index. The record of the image is large: its
-- place and time stand beside it. Without a georeference the place is the camera's.
alter table analysis_runs
    add column west double precision generated always as (
        coalesce((imagery->'bounds_wgs84'->>0)::double precision, (imagery->'gps'->>'longitude')::double precision)
    ) stored,
    add column south double precision generated always as (
        coalesce((imagery->'bounds_wgs84'->>1)::double precision, (imagery->'gps'->>'latitude')::double precision)
    ) stored,
    add column east double precision generated always as (
        coalesce((imagery->'bounds_wgs84'->>2)::double precision, (imagery->'gps'->>'longitude')::double precision)
    ) stored,
    add column north double precision generated always as (
        coalesce((imagery->'bounds_wgs84'->>3)::double precision, (imagery->'gps'->>'latitude')::double precision)
    ) stored,
    add column captured_at timestamptz;

update analysis_runs set captured_at = (imagery->>'captured_at')::timestamptz
where imagery->>'captured_at' is not null;

-- Most of the runs of an installation may be failed ones.
create index analysis_runs_results on analysis_runs (tenant_id, index_type, created_at desc, id desc)
where status = 'completed';
