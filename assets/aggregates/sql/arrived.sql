-- The events of the marks that are taken. The bounds are there for the planner: it leaves partitions out by them.
-- Each window is one index range (`offset 0` keeps the lookup a lookup), and what an hour's marks name is found by
-- equality: the cost is that of the events in the windows, however many hours there are and whatever they hold beside.
insert into arrived (
    event_id, occurred_at, hour, day, type, user_id, payload, position, kafka_topic_id, kafka_partition, kafka_offset
)
with windows as materialized (
    select
        m.hour,
        lower(w.times) as low,
        upper(w.times) as high
    from (
        select
            t.hour,
            range_agg(coalesce(t.windows, tstzmultirange(tstzrange(t.low, t.high, '[]')))) as times
        from taken as t
        group by t.hour
    ) as m
    cross join unnest(m.times) as w (times)
),

there as (
    select
        w.hour,
        e.*
    from windows as w
    cross join
        lateral (
            select
                r.event_id,
                r.occurred_at,
                r.type,
                r.user_id,
                r.payload,
                r.kafka_topic_id,
                r.kafka_partition,
                r.kafka_offset
            from raw.events as r
            where
                r.occurred_at >= w.low and r.occurred_at <= w.high
                and r.occurred_at >= %(low)s and r.occurred_at < %(high)s
                -- only
            offset 0  -- noqa: AM09
        ) as e
),

named as (
    select
        l.hour,
        l.event_id,
        bool_or(l.taken) as taken
    from listed as l
    group by l.hour, l.event_id
)

select
    e.event_id,
    e.occurred_at,
    e.hour,
    (e.hour at time zone 'UTC')::date as day,
    e.type,
    e.user_id,
    e.payload,
    ops.kafka_position(e.kafka_topic_id, e.kafka_partition, e.kafka_offset) as position,
    e.kafka_topic_id,
    e.kafka_partition,
    e.kafka_offset
from there as e
left join spans as s
    on
        s.taken and e.hour = s.hour and e.kafka_topic_id = s.topic_id and e.kafka_partition = s.partition
        and e.kafka_offset <@ s.offsets
left join named as n on e.hour = n.hour and e.event_id = n.event_id
-- An event that was stored later, under an offset of such a batch, has a mark of its own that lists it.
where coalesce(n.taken, s.hour is not null)
