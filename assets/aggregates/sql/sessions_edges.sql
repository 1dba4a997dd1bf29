-- Users who have a session near a bound of the range: by their events between near_low and near_high, and by sessions
-- that are there and cross the bound. The latter are looked for a day back; longer ones are found by their events.
insert into session_edges (user_id, reach, floor, open)
select
    n.user_id,
    case when %(backward)s then min(n.reach) else max(n.reach) end as reach,
    coalesce(
        (
            select f.ended_at from analytics.sessions as f
            where f.user_id = n.user_id and f.started_at < %(frontier)s::timestamptz
            order by f.started_at desc limit 1
        ),
        '-infinity'
    ) as floor,
    true as open
from (
    select
        e.user_id,
        e.occurred_at as reach
    from raw.events as e
    where e.occurred_at >= %(near_low)s and e.occurred_at < %(near_high)s
    union all
    select
        s.user_id,
        case when %(backward)s then s.started_at else s.ended_at end as reach
    from analytics.sessions as s
    where
        s.started_at >= greatest(%(bound)s - interval '24 hours', %(frontier)s::timestamptz)
        and s.started_at < %(bound)s
        and s.ended_at >= %(bound)s
) as n
group by n.user_id;

analyze session_edges
