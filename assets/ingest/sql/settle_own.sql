-- Of one partition's staged events whose ids are claimed under another time: those that are stored themselves. They
-- stay so, whoever holds the claim by now.
delete from staged_events as s
using raw.events as e
where
    s.claimed_at <> s.occurred_at
    and s.occurred_at = e.occurred_at and s.event_id = e.event_id
    and s.kafka_topic_id = e.kafka_topic_id and s.kafka_partition = e.kafka_partition and s.kafka_offset = e.kafka_offset
    and s.occurred_at >= %(low)s and s.occurred_at < %(high)s
    and e.occurred_at >= %(low)s and e.occurred_at < %(high)s
returning
    s.position,
    'present' as verdict
