select
    a.dead_letter_id,
    a.attempt,
    a.at,
    a.outcome,
    a.code,
    a.reason,
    a.run_id
from ops.dead_letter_attempts as a
where a.dead_letter_id = any(%(ids)s)
order by a.dead_letter_id, a.entry_id
