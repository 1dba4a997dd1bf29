-- The topic was deleted and made again: what the old one still held is lost, how much nobody can know. Ids that differ
-- in their seventh byte alone are of logs of one topic (resources/kafka.py).
update ops.offsets
set replaced_at = now()
where
    topic = %(topic)s and replaced_at is null
    and overlay(uuid_send(topic_id) placing '\x00'::bytea from 7 for 1)
    <> overlay(uuid_send(%(topic_id)s::uuid) placing '\x00'::bytea from 7 for 1)
returning topic_id, partition, next_offset
