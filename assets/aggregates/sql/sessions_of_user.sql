-- All sessions of some users, and what is left of their events.
insert into session_old (session_id, user_id)
select
    s.session_id,
    s.user_id
from analytics.sessions as s
where s.user_id = any(%(users)s::text[]);

insert into session_events (user_id, occurred_at, viewed, position, page)
select
    e.user_id,
    e.occurred_at,
    e.type = 'page_view' as viewed,
    case
        when e.type = 'page_view' then ops.kafka_position(e.kafka_topic_id, e.kafka_partition, e.kafka_offset)
    end as position,
    case when e.type = 'page_view' then e.payload ->> 'page' end as page
from raw.events as e
where e.user_id = any(%(users)s::text[]) and e.occurred_at >= %(frontier)s::timestamptz
