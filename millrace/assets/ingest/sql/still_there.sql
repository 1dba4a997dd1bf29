-- Which of some records are stored, under their own coordinates.
select c.pos
from
    unnest(
        %(positions)s::integer[], %(times)s::timestamptz[], %(ids)s::uuid[],
        %(topic_ids)s::uuid[], %(partitions)s::integer[], %(offsets)s::bigint[]
    ) as c (pos, occurred_at, event_id, topic_id, part, off)
inner join raw.events as e
    on
        c.occurred_at = e.occurred_at
        and c.event_id = e.event_id
        and c.topic_id = e.kafka_topic_id
        and c.part = e.kafka_partition
        and c.off = e.kafka_offset
