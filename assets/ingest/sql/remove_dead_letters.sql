delete from raw.dead_letters as d
using unnest(%(topic_ids)s::uuid[], %(partitions)s::integer[], %(offsets)s::bigint[]) as c (topic_id, part, off)
where d.topic_id = c.topic_id and d.partition = c.part and d.kafka_offset = c.off
