create table imagery (
    id uuid primary key,
    tenant_id text not null default 'default',
    original_filename text not null,
    bucket text not null,
    object_key text not null unique,
    content_type text not null,
    status text not null default 'uploaded',
    size_bytes bigint not null,
    sha256 text not null,
    width integer not null,
    height integer not null,
    band_count integer not null,
    dtype text not null,
    bands jsonb not null,
    bands_source text not null,
    alpha_band integer,
    sensor text,
    nodata jsonb,
    crs jsonb,
    transform jsonb,
    footprint jsonb,
    bounds_wgs84 double precision[],
    gsd_m double precision,
    captured_at timestamptz,
    gps jsonb,
    camera jsonb,
    created_at timestamptz not null default clock_timestamp()
);

create index imagery_newest_first on imagery (tenant_id, created_at desc, id desc);
create index imagery_by_capture on imagery (tenant_id, captured_at);
