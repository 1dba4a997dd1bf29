select
    d.dead_letter_id,
    d.topic,
    d.topic_id,
    d.partition,
    d.kafka_offset,
    d.kafka_timestamp,
    d.key,
    d.value,
    d.header_names,
    d.header_values,
    d.code,
    d.reason,
    d.status,
    d.attempts,
    d.first_seen_at,
    d.last_attempt_at,
    d.run_id
from raw.dead_letters as d
where d.dead_letter_id = any(%(ids)s)
order by d.dead_letter_id
