-- Where what arrived touches sessions: a stretch of one user's time reaches from its first to its last event, all
-- sessions that it touches included. Events that are far apart make stretches of their own. Up to `floor` the user's
-- events belong to a frozen session.
insert into session_stretches (user_id, low, high, floor)
with marked as (
    select
        a.user_id,
        a.occurred_at,
        a.occurred_at - lag(a.occurred_at) over (
            partition by a.user_id order by a.occurred_at
        ) > interval '30 minutes' as far
    from arrived as a
    where a.occurred_at >= %(low)s and a.occurred_at < %(high)s and a.occurred_at >= %(frontier)s::timestamptz
),

numbered as (
    select
        m.user_id,
        m.occurred_at,
        count(*) filter (where m.far) over (
            partition by m.user_id order by m.occurred_at rows unbounded preceding
        ) as cluster
    from marked as m
),

clusters as (
    select
        n.user_id,
        min(n.occurred_at) as low,
        max(n.occurred_at) as high
    from numbered as n
    group by n.user_id, n.cluster
),

widened as (
    select
        c.user_id,
        least(c.low, touched.low) as low,
        greatest(c.high, touched.high) as high
    from clusters as c
    cross join lateral (
        select
            min(s.started_at) as low,
            max(s.ended_at) as high
        from analytics.sessions as s
        where
            s.user_id = c.user_id
            and s.started_at <= c.high + interval '30 minutes'
            and s.ended_at >= c.low - interval '30 minutes'
            and s.started_at >= %(frontier)s::timestamptz
            -- Sessions of a user do not overlap: of those that began earlier only the last can reach so far.
            and s.started_at >= coalesce(
                (
                    select max(b.started_at) from analytics.sessions as b
                    where b.user_id = c.user_id and b.started_at < c.low - interval '30 minutes'
                ),
                '-infinity'
            )
    ) as touched
),

ordered as (
    select
        w.*,
        w.low > max(w.high) over (
            partition by w.user_id order by w.low, w.high rows between unbounded preceding and 1 preceding
        ) as apart
    from widened as w
),

grouped as (
    select
        o.*,
        count(*) filter (where o.apart) over (
            partition by o.user_id order by o.low, o.high rows unbounded preceding
        ) as stretch
    from ordered as o
)

select
    g.user_id,
    min(g.low) as low,
    max(g.high) as high,
    coalesce(
        (
            select f.ended_at from analytics.sessions as f
            where f.user_id = g.user_id and f.started_at < %(frontier)s::timestamptz
            order by f.started_at desc limit 1
        ),
        '-infinity'
    ) as floor
from grouped as g
group by g.user_id, g.stretch;

insert into session_old (session_id, user_id)
select
    s.session_id,
    s.user_id
from session_stretches as x
cross join
    lateral (
        select
            o.session_id,
            o.user_id
        from analytics.sessions as o
        where o.user_id = x.user_id and o.started_at >= x.low and o.started_at <= x.high
        offset 0  -- noqa: AM09
    ) as s;

analyze session_stretches;
