-- The next events of the users whose session has not ended yet, away from the range.
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
from session_edges as x
inner join raw.events as e on x.user_id = e.user_id and x.floor < e.occurred_at
where x.open and e.occurred_at >= %(low)s and e.occurred_at < %(high)s
