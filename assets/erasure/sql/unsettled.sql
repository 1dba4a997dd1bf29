-- Whether a mark waits for an event of the users: a table of the aggregates does not hold it yet.
select
    exists(
        select 1
        from ops.dirty_buckets as m
        inner join (
            select r.*
            from raw.events as r
            where r.user_id = any(%(users)s::text[])
        ) as e on m.low <= e.occurred_at and m.high >= e.occurred_at
        where
            (
                e.event_id = any(m.event_ids)
                or exists (
                    select 1 from ops.batch_ranges as r
                    where
                        r.batch_id = m.batch_id
                        and r.topic_id = e.kafka_topic_id
                        and r.partition = e.kafka_partition
                        and r.start_offset <= e.kafka_offset
                        and r.end_offset > e.kafka_offset
                )
            )
    ) as unsettled
