-- Follows each session through the events just read to the last before a gap.
with beyond as (
    select
        x.user_id,
        e.occurred_at,
        greatest(e.occurred_at - x.reach, x.reach - e.occurred_at) as distance
    from session_edges as x
    inner join session_events as e on x.user_id = e.user_id
    where
        x.open and e.occurred_at >= %(low)s and e.occurred_at < %(high)s
        and case when %(backward)s then e.occurred_at < x.reach else e.occurred_at > x.reach end
),

marked as (
    select
        b.*,
        b.distance - lag(b.distance, 1, interval '0') over (
            partition by b.user_id order by b.distance
        ) > interval '30 minutes' as far
    from beyond as b
),

followed as (
    select
        m.*,
        bool_or(m.far) over (partition by m.user_id order by m.distance) as apart
    from marked as m
)

update session_edges as x set reach = r.reach
from (
    select
        f.user_id,
        case when %(backward)s then min(f.occurred_at) else max(f.occurred_at) end as reach
    from followed as f
    where not f.apart
    group by f.user_id
) as r
where x.user_id = r.user_id and x.open
