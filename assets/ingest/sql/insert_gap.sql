insert into ops.gaps (topic, topic_id, partition, start_offset, end_offset, reason, run_id)
values (%(topic)s, %(topic_id)s, %(partition)s, %(start)s, %(end)s, %(reason)s, %(run_id)s)
