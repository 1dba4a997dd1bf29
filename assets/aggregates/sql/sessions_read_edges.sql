-- The next events of the users whose session has not ended yet, away from the range; without those of marks that wait:
-- these join the session when they are taken in.
insert into session_events (user_id, occurred_at, viewed, position, page)
select
    r.user_id,
    r.occurred_at,
    r.type = 'page_view' as viewed,
    case
        when r.type = 'page_view' then ops.kafka_position(r.kafka_topic_id, r.kafka_partition, r.kafka_offset)
    end as position,
    case when r.type = 'page_view' then r.payload ->> 'page' end as page
from session_edges as x
inner join raw.events as r on x.user_id = r.user_id and x.floor < r.occurred_at
where
    x.open and r.occurred_at >= %(low)s and r.occurred_at < %(high)s
    -- and not waiting
