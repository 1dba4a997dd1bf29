-- The events of the stretches between two times, both inclusive. The bounds are there for the planner: it leaves
-- partitions out by them.
insert into session_events (
    user_id, occurred_at, kafka_topic_id, kafka_partition, kafka_offset, viewed, page
)
select
    e.user_id,
    e.occurred_at,
    e.kafka_topic_id,
    e.kafka_partition,
    e.kafka_offset,
    e.type = 'page_view' as viewed,
    case when e.type = 'page_view' then e.payload ->> 'page' end as page
from session_stretches as x
inner join raw.events as e
    on x.user_id = e.user_id and x.low <= e.occurred_at and x.high >= e.occurred_at and x.floor < e.occurred_at
where
    x.low >= %(low)s and x.high <= %(high)s
    and e.occurred_at >= %(low)s and e.occurred_at <= %(high)s
