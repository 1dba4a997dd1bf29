-- Rows of some records, or under some ids. Neither has an index: it reads everything, once, however many are asked for.
select
    e.event_id,
    e.kafka_topic_id,
    e.kafka_partition,
    e.kafka_offset
from raw.events as e
where
    e.event_id = any(%(ids)s::uuid[])
    or (
        e.kafka_offset = any(%(offsets)s::bigint[])
        and e.kafka_partition = any(%(partitions)s::integer[])
        and e.kafka_topic_id = any(%(topic_ids)s::uuid[])
    )
