insert into ops.batch_ranges (
    batch_id, topic_id, partition, start_offset, end_offset, records, stored, duplicates, dead_letters, tombstones,
    erased, expired, last_offset, last_digest
)
values (
    %(batch_id)s, %(topic_id)s, %(partition)s, %(start)s, %(end)s, %(records)s, %(stored)s, %(duplicates)s,
    %(dead_letters)s, %(tombstones)s, %(erased)s, %(expired)s, %(last_offset)s, %(last_digest)s
)
