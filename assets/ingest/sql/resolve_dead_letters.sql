update raw.dead_letters as d
set status = 'resolved', attempts = d.attempts + 1, last_attempt_at = now(), run_id = %(run_id)s
from unnest(%(topic_ids)s::uuid[], %(partitions)s::integer[], %(offsets)s::bigint[]) as c (topic_id, part, off)
where d.topic_id = c.topic_id and d.partition = c.part and d.kafka_offset = c.off and d.status <> 'resolved'
