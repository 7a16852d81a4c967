-- Several files may make one imagery. An older row has no list: its one file stands in its own columns.
alter table imagery
    add column assets jsonb not null default '[]',
    add column bands_reason text,
    add column sensor_reason text,
    add column raw_capture boolean not null default false,
    add column calibration jsonb;
