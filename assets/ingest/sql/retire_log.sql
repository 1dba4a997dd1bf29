-- The fence, for a log that is another by now: only who begins where the old one is committed may put one in its place.
update ops.offsets
set replaced_at = now()
where
    topic_id = %(topic_id)s and partition = %(partition)s and next_offset = %(start)s and replaced_at is null
