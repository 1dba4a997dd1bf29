select
    a.dead_letter_id,
    a.outcome
from ops.dead_letter_attempts as a
where a.dead_letter_id = any(%(ids)s) and a.run_id = %(by)s
