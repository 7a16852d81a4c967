-- name: close_open
-- What is still open when the next attempt begins was lost: whoever was at it could not say how it ended.
update attempts set ended_at = now(), outcome = 'lost', reason = %(reason)s
where subject = %(subject)s and outcome is null

-- name: begin
insert into attempts (subject, number) values (%(subject)s, %(number)s)

-- name: place
update attempts set node = %(node)s where subject = %(subject)s and number = %(number)s and node is null

-- name: end
-- An attempt that was taken for lost may say later how it really ended, unless that would be another result.
update attempts set ended_at = now(), outcome = %(outcome)s, reason = %(reason)s
where subject = %(subject)s and number = %(number)s
  and (outcome is null or (outcome = 'lost' and %(outcome)s = 'unavailable'))
returning number

-- name: cancel
update attempts set ended_at = now(), outcome = 'cancelled' where subject = %(subject)s and outcome is null

-- name: tally
select count(*) filter (where outcome is null or outcome = 'lost') as lost,
       count(*) filter (where outcome = 'unavailable') as unavailable,
       count(*) filter (where outcome = 'unavailable' and reason = %(no_node)s) as without_node
from attempts where subject = %(subject)s and number > %(after)s

-- name: last
select coalesce(max(number), 0) as number from attempts where subject = %(subject)s

-- name: forget
-- Those that ended well, or so long ago that their processes are gone.
delete from attempts
where subject = %(subject)s and (outcome = 'completed' or ended_at < now() - make_interval(secs => %(age_s)s))

-- name: any_left
select number from attempts where subject = %(subject)s limit 1
