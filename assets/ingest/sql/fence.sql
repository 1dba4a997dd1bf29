-- The fence: only the run that starts where the last one ended may commit.
update ops.offsets
set
    next_offset = %(end)s,
    last_offset = coalesce(%(last_offset)s::bigint, last_offset),
    last_digest = coalesce(%(last_digest)s::bytea, last_digest),
    updated_at = now()
where topic_id = %(topic_id)s and partition = %(partition)s and next_offset = %(start)s and replaced_at is null
