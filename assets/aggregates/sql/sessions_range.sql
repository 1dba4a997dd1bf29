-- The sessions that began in the range; and, where a frontier is, the events of users with a frozen session that
-- reaches over it, without those that belong to that session.
insert into session_old (session_id, user_id)
select
    s.session_id,
    s.user_id
from analytics.sessions as s
where s.started_at >= %(low)s and s.started_at < %(high)s;

insert into session_frozen (user_id, ended_at)
select
    u.user_id,
    f.ended_at
from (
    select distinct e.user_id from raw.events as e
    where
        %(frontier)s::timestamptz > '-infinity'::timestamptz
        and e.occurred_at >= %(low)s and e.occurred_at < %(high)s
) as u
cross join
    lateral (
        select s.ended_at from analytics.sessions as s
        where s.user_id = u.user_id and s.started_at < %(frontier)s::timestamptz
        order by s.started_at desc limit 1
    ) as f
where f.ended_at >= %(low)s;

insert into session_events (user_id, occurred_at, viewed, position, page)
select
    e.user_id,
    e.occurred_at,
    e.type = 'page_view' as viewed,
    case
        when e.type = 'page_view' then ops.kafka_position(e.kafka_topic_id, e.kafka_partition, e.kafka_offset)
    end as position,
    case when e.type = 'page_view' then e.payload ->> 'page' end as page
from session_frozen as f
inner join raw.events as e on f.user_id = e.user_id and f.ended_at < e.occurred_at
where e.occurred_at >= %(low)s and e.occurred_at < %(high)s
