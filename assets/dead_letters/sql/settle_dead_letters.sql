-- What an attempt made of dead letters: refused ones stay open, with the new code and reason.
update raw.dead_letters as d
set
    status = c.status,
    code = coalesce(c.code, d.code),
    reason = coalesce(c.reason, d.reason),
    attempts = d.attempts + 1,
    last_attempt_at = now(),
    run_id = %(by)s
from
    unnest(%(ids)s::bigint[], %(statuses)s::text[], %(codes)s::text[], %(reasons)s::text[])
        as c (dead_letter, status, code, reason)
where d.dead_letter_id = c.dead_letter
