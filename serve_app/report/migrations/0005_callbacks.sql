-- Where the end of a report is told to, and the event that says so, once there is one.
alter table reports
    add column callback text,
    add column callback_status text check (callback_status in ('waiting', 'delivered', 'given_up')),
    add column callback_attempts integer not null default 0,
    add column callback_error text,
    add column callback_event json;
