-- Which job may change the rows of a batch, and when it last gave a sign of life. Where results lie on the server follows from
-- the settings and is no part of a batch.
alter table batches
    add column listing uuid,
    add column seen_at timestamptz not null default clock_timestamp(),
    drop column place;
