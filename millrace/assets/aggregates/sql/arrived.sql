-- The events of the marks that are taken. The bounds are there for the planner: it leaves partitions out by them.
insert into arrived (event_id, occurred_at, hour, day, type, user_id, payload, position)
select
    e.event_id,
    e.occurred_at,
    w.hour,
    (w.hour at time zone 'UTC')::date as day,
    e.type,
    e.user_id,
    e.payload,
    ops.kafka_position(e.kafka_topic_id, e.kafka_partition, e.kafka_offset) as position
from (
    select
        t.hour,
        min(t.low) as low,
        max(t.high) as high
    from taken as t
    group by t.hour
) as w
inner join raw.events as e on w.low <= e.occurred_at and w.high >= e.occurred_at
where
    e.occurred_at >= %(low)s and e.occurred_at < %(high)s
    and (
        -- An event that was stored later, under an offset of such a batch, has a mark of its own that lists it.
        exists (
            select 1 from spans as s
            where
                s.taken and s.hour = w.hour and s.topic_id = e.kafka_topic_id and s.partition = e.kafka_partition
                and e.kafka_offset <@ s.offsets
        )
        and (w.hour, e.event_id) not in (select
            l.hour,
            l.event_id
        from listed as l
        where not l.taken)
        or (w.hour, e.event_id) in (select
            l.hour,
            l.event_id
        from listed as l
        where l.taken)
    )
