insert into ops.offsets (topic, topic_id, partition, next_offset, last_offset, last_digest)
values (%(topic)s, %(log_id)s, %(partition)s, %(kept)s, %(last_offset)s::bigint, %(last_digest)s::bytea)
