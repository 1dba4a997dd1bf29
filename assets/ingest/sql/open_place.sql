-- First contact with a partition of a topic's generation.
insert into ops.offsets (topic, topic_id, partition, next_offset)
values (%(topic)s, %(topic_id)s, %(partition)s, %(start)s)
on conflict (topic_id, partition) do nothing
