-- The topic was deleted and made again: what the old one still held is lost, how much nobody can know.
update ops.offsets
set replaced_at = now()
where topic = %(topic)s and topic_id <> %(topic_id)s and replaced_at is null
returning topic_id, partition, next_offset
