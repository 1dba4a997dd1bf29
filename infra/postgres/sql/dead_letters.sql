select
    d.dead_letter_id,
    d.topic,
    d.topic_id,
    d.partition,
    d.kafka_offset,
    d.kafka_timestamp,
    d.code,
    d.status,
    d.attempts,
    d.first_seen_at,
    d.last_attempt_at,
    d.run_id,
    substring(d.reason from %(place)s) as path,
    octet_length(d.value) as value_bytes
from raw.dead_letters as d
