-- In the order of coordinates, as everything that locks dead letters.
insert into ops.dead_letter_attempts (dead_letter_id, attempt, at, outcome, code, reason, run_id)
select
    d.dead_letter_id,
    d.attempts,
    d.last_attempt_at,
    case d.status when 'open' then 'refused' when 'resolved' then 'stored' else d.status end as outcome,
    d.code,
    d.reason,
    d.run_id
from raw.dead_letters as d
where
    d.dead_letter_id = any(%(dead_letters)s)
    and not exists (
        select 1 from ops.dead_letter_attempts as a
        where a.dead_letter_id = d.dead_letter_id
    )
order by d.topic_id, d.partition, d.kafka_offset
for update of d
