-- Follows to the end of the session that is there: what is replaced is read in whole.
update session_edges as x set reach = r.reach
from (
    select
        w.user_id,
        case when %(backward)s then s.started_at else s.ended_at end as reach
    from session_edges as w
    cross join
        lateral (
            select
                t.started_at,
                t.ended_at
            from analytics.sessions as t
            where t.user_id = w.user_id and t.started_at <= w.reach
            order by t.started_at desc limit 1
        ) as s
    where w.open and s.ended_at >= w.reach and s.started_at >= %(frontier)s::timestamptz
) as r
where x.user_id = r.user_id and x.open and x.reach <> r.reach
