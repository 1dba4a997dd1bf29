insert into ops.unreadable_partitions as u (topic, topic_id, partition, at_offset, error, run_id)
values (%(topic)s, %(topic_id)s, %(partition)s, %(at_offset)s, %(error)s, %(run_id)s)
on conflict (topic_id, partition) do update
    set
        since = case when u.at_offset = excluded.at_offset then u.since else excluded.since end,
        at_offset = excluded.at_offset,
        error = excluded.error,
        seen_at = excluded.seen_at,
        run_id = excluded.run_id
