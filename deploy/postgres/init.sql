-- Runs once, when an instance is made: its service's role and database, and with WATCHER_PASSWORD a role that only reads.
\getenv role SERVICE_ROLE
\getenv database SERVICE_DATABASE
\getenv password SERVICE_PASSWORD
\getenv watcher WATCHER_PASSWORD

create role :"role" login password :'password';
create database :"database" owner :"role";
revoke connect on database :"database" from public;

\if :{?watcher}
create role watcher login password :'watcher' connection limit 5;
alter role watcher set default_transaction_read_only = on;
alter role watcher set statement_timeout = '10s';
grant connect on database :"database" to watcher;
\connect :"database"
alter default privileges for role :"role" grant select on tables to watcher;
\endif
