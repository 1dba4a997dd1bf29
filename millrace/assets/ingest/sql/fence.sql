-- The fence: only the run that starts where the last one ended may commit.
update ops.offsets
set next_offset = %(end)s, updated_at = now()
where topic_id = %(topic_id)s and partition = %(partition)s and next_offset = %(start)s
