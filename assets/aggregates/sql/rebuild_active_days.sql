-- ops.active_days for a range of days, from the user days of it and of the 27 days before it. The days on which a user
-- counts are disjoint intervals: see active_days.sql.
with active as (
    select
        d.day,
        lead(d.day) over (partition by d.user_id order by d.day) as next_day
    from ops.user_days as d
    where d.day >= %(low)s::date - 27 and d.day < %(high)s::date
),

steps as (
    select
        s.day,
        sum(s.today) as today,
        sum(s.week) as week,
        sum(s.month) as month
    from active as a
    cross join
        lateral (
            values
            (a.day, 1, 1, 1),
            (a.day + 1, -1, 0, 0),
            (least(a.day + 7, a.next_day), 0, -1, 0),
            (least(a.day + 28, a.next_day), 0, 0, -1)
        ) as s (day, today, week, month)
    group by s.day
),

running as (
    select
        s.day,
        lead(s.day) over (order by s.day) as next_day,
        sum(s.today) over (order by s.day) as dau,
        sum(s.week) over (order by s.day) as wau,
        sum(s.month) over (order by s.day) as mau
    from steps as s
),

-- only the days on which anybody counts, however long the range is
windows as (
    select
        g.day::date as day,
        r.dau,
        r.wau,
        r.mau
    from running as r
    cross join
        lateral generate_series(
            greatest(r.day, %(low)s::date)::timestamp,
            (least(r.next_day, %(high)s::date) - 1)::timestamp,
            interval '1 day'
        ) as g (day)
    where r.mau > 0
),

firsts as (
    select
        (p.first_seen_at at time zone 'UTC')::date as day,
        count(*) as new_users
    from analytics.user_profiles as p
    where
        p.first_seen_at >= %(low)s::date::timestamp at time zone 'UTC'
        and p.first_seen_at < %(high)s::date::timestamp at time zone 'UTC'
    group by (p.first_seen_at at time zone 'UTC')::date
),

fresh as (
    select
        w.day,
        w.dau,
        w.wau,
        w.mau,
        coalesce(f.new_users, 0) as new_users
    from windows as w
    left join firsts as f on w.day = f.day
),

stale as (
    delete from ops.active_days as a
    where
        a.day >= %(low)s::date and a.day < %(high)s::date
        and not exists (
            select 1 from fresh
            where fresh.day = a.day
        )
)

insert into ops.active_days as a (day, dau, wau, mau, new_users)
select
    fresh.day,
    fresh.dau,
    fresh.wau,
    fresh.mau,
    fresh.new_users
from fresh
except
select
    t.day,
    t.dau,
    t.wau,
    t.mau,
    t.new_users
from ops.active_days as t
where t.day >= %(low)s::date and t.day < %(high)s::date
order by day
on conflict (day) do update
    set dau = excluded.dau, wau = excluded.wau, mau = excluded.mau, new_users = excluded.new_users
