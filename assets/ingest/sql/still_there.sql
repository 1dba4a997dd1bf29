-- Under which keys of some records something is stored, and whether that is the record itself, by its coordinates.
select
    c.pos,
    c.topic_id = e.kafka_topic_id and c.part = e.kafka_partition and c.off = e.kafka_offset as own
from
    unnest(
        %(positions)s::integer[], %(times)s::timestamptz[], %(ids)s::uuid[],
        %(topic_ids)s::uuid[], %(partitions)s::integer[], %(offsets)s::bigint[]
    ) as c (pos, occurred_at, event_id, topic_id, part, off)
inner join raw.events as e on c.occurred_at = e.occurred_at and c.event_id = e.event_id
