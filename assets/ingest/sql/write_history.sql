insert into ops.dead_letter_attempts (dead_letter_id, attempt, outcome, code, reason, run_id)
select
    d.dead_letter_id,
    d.attempts,
    c.outcome,
    c.code,
    c.reason,
    %(run_id)s
from
    unnest(%(dead_letters)s::bigint[], %(outcomes)s::text[], %(codes)s::text[], %(reasons)s::text[])
        as c (dead_letter, outcome, code, reason)
inner join raw.dead_letters as d on c.dead_letter = d.dead_letter_id
order by d.topic_id, d.partition, d.kafka_offset
