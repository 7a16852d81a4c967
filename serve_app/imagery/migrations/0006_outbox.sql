-- Events wait here for the relay, beside the rows that they tell of. Rows come and go: vacuum by their number, not their share.
create table outbox (
    position bigint generated always as identity primary key,
    id uuid not null,
    type text not null,
    subject text not null,
    event json not null,
    written_at timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Events that waited as jobs move over.
insert into outbox (id, type, subject, event)
select (args->'event'->>'id')::uuid, args->'event'->>'type', args->'event'->>'subject', args->'event'
from procrastinate_jobs
where task_name = 'events.publish' and status in ('todo', 'doing')
order by id;

delete from procrastinate_jobs where task_name = 'events.publish';
