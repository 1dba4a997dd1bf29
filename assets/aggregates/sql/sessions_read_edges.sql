-- The next events of the users whose session has not ended yet, away from the range; without those of marks that wait:
-- these join the session when they are taken in.
insert into session_events (user_id, occurred_at, viewed, position, page)
with there as materialized (  -- noqa: ST03
    select
        r.*,
        date_trunc('hour', r.occurred_at, 'UTC') as hour
    from session_edges as x
    inner join raw.events as r on x.user_id = r.user_id and x.floor < r.occurred_at
    where x.open and r.occurred_at >= %(low)s and r.occurred_at < %(high)s
)  -- settled

select
    e.user_id,
    e.occurred_at,
    e.type = 'page_view' as viewed,
    case
        when e.type = 'page_view' then ops.kafka_position(e.kafka_topic_id, e.kafka_partition, e.kafka_offset)
    end as position,
    case when e.type = 'page_view' then e.payload ->> 'page' end as page
from settled as e
