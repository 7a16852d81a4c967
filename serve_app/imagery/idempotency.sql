-- name: claim
-- Free: not known, expired, or given up by whoever had it. What the first has noted of itself stays.
insert into idempotency_keys as known (
    tenant_id, key_sha256, fingerprint, subject, holder, leased_until, expires_at
) values (
    %(tenant)s, %(key_sha256)s, %(fingerprint)s, %(subject)s, %(holder)s, clock_timestamp() + %(lease)s,
    clock_timestamp() + %(lifetime)s
)
on conflict (tenant_id, key_sha256) do update set
    fingerprint = case when known.expires_at <= clock_timestamp() then excluded.fingerprint
                       else coalesce(known.fingerprint, excluded.fingerprint) end,
    subject = case when known.expires_at <= clock_timestamp() then excluded.subject else known.subject end,
    expires_at = case when known.expires_at <= clock_timestamp() then excluded.expires_at else known.expires_at end,
    status = null, headers = null, body = null,
    holder = excluded.holder, leased_until = excluded.leased_until
where (known.expires_at <= clock_timestamp() and (known.status is not null or known.leased_until <= clock_timestamp()))
   or (known.status is null and known.leased_until <= clock_timestamp()
       and (known.fingerprint is null or excluded.fingerprint is null or known.fingerprint = excluded.fingerprint))
returning *

-- name: get
select *, ceil(extract(epoch from leased_until - clock_timestamp()))::integer as wait_s
from idempotency_keys where tenant_id = %(tenant)s and key_sha256 = %(key_sha256)s

-- name: prolong
-- By its holder, who may tell now what the request is about.
update idempotency_keys set leased_until = clock_timestamp() + %(lease)s, fingerprint = coalesce(fingerprint, %(fingerprint)s)
where tenant_id = %(tenant)s and key_sha256 = %(key_sha256)s and holder = %(holder)s and status is null
returning fingerprint

-- name: keep
-- Whoever answers first: two that work on one subject answer with one row.
update idempotency_keys set status = %(status)s, headers = %(headers)s, body = %(body)s
where tenant_id = %(tenant)s and key_sha256 = %(key_sha256)s and subject = %(subject)s and status is null

-- name: give_up
-- The next one need not wait, and goes on under the same subject.
update idempotency_keys set leased_until = clock_timestamp()
where tenant_id = %(tenant)s and key_sha256 = %(key_sha256)s and holder = %(holder)s and status is null

-- name: forget
delete from idempotency_keys
where tenant_id = %(tenant)s and key_sha256 = %(key_sha256)s and holder = %(holder)s and status is null

-- name: sweep
with old as (
    select tenant_id, key_sha256 from idempotency_keys
    where expires_at <= clock_timestamp() and (status is not null or leased_until <= clock_timestamp())
    limit %(limit)s for update skip locked
)
delete from idempotency_keys using old
where idempotency_keys.tenant_id = old.tenant_id and idempotency_keys.key_sha256 = old.key_sha256
returning old.tenant_id
