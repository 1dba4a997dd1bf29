-- The newest dead letters of a choice with their reasons, which may quote a value; no key, no value, no headers.
select
    d.dead_letter_id,
    d.topic,
    d.partition,
    d.kafka_offset,
    d.code,
    d.status,
    d.attempts,
    d.first_seen_at,
    d.last_attempt_at,
    d.reason
from chosen as d
order by d.first_seen_at desc, d.dead_letter_id desc
limit %(most)s
