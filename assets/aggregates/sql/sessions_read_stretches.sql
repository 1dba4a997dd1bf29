-- The events of the stretches between two times, both inclusive. The bounds are there for the planner: it leaves
-- partitions out by them. Each stretch is one index range (`offset 0` keeps the lookup a lookup), whoever has how many.
insert into session_events (
    user_id, occurred_at, kafka_topic_id, kafka_partition, kafka_offset, viewed, page
)
select
    x.user_id,
    e.occurred_at,
    e.kafka_topic_id,
    e.kafka_partition,
    e.kafka_offset,
    e.type = 'page_view' as viewed,
    case when e.type = 'page_view' then e.payload ->> 'page' end as page
from session_stretches as x
cross join
    lateral (
        select
            r.occurred_at,
            r.kafka_topic_id,
            r.kafka_partition,
            r.kafka_offset,
            r.type,
            r.payload
        from raw.events as r
        where
            r.user_id = x.user_id and r.occurred_at >= x.low and r.occurred_at <= x.high and r.occurred_at > x.floor
            and r.occurred_at >= %(low)s and r.occurred_at <= %(high)s
        offset 0  -- noqa: AM09
    ) as e
where x.low >= %(low)s and x.high <= %(high)s
