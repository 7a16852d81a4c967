-- Whoever forgets a `where tenant_id = ...` sees nothing of other tenants all the same, and so does the owner of the tables. The
-- service says in each transaction whom it acts for (`orthoray.tenants`): a tenant, or everybody, '*'. A transaction that says
-- nothing sees nothing. Applied to every table that names a tenant and does not have this yet.
do $$
declare
    tenants constant text := $policy$
        tenant_id = current_setting('orthoray.tenant', true) or current_setting('orthoray.tenant', true) = '*'
    $policy$;
    bare text;
begin
    for bare in
        select relname from pg_class
        join pg_attribute on attrelid = pg_class.oid and attname = 'tenant_id' and not attisdropped
        where relkind = 'r' and relnamespace = current_schema()::regnamespace
          and not exists (select from pg_policy where polrelid = pg_class.oid and polname = 'tenants')
    loop
        execute format('alter table %I enable row level security, force row level security', bare);
        execute format('create policy tenants on %I using (%s)', bare, tenants);
        -- The role of dashboards, where an installation has it, only reads.
        if exists (select from pg_roles where rolname = 'watcher') then
            execute format('create policy watcher on %I for select to watcher using (true)', bare);
        end if;
    end loop;
end $$;
