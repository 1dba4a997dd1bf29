-- How the counts of active users change. A user who is active on day d, and next on day n, counts in the windows that
-- end on d to d + 6 (week) or d + 27 (28 days), but not from n on, where the next activity counts. So the days on which
-- a user counts are disjoint intervals, and what changes is the intervals after less the intervals before.
with moved as (
    select
        c.user_id,
        c.day,
        c.stays
    from changes as c
    where c.was <> c.stays
),

-- What stays between the last day before a stretch of moved days and the first one after it is moved itself. Other days
-- have the same neighbours before and after: they are left out of both, or are in both, and cancel each other out.
stretches as (
    select
        m.user_id,
        unnest(range_agg(daterange(m.day, m.day, '[]'))) as days
    from moved as m
    group by m.user_id
),

active_after as (
    select
        m.user_id,
        m.day
    from moved as m
    where m.stays
    union
    select
        s.user_id,
        d.day
    from stretches as s
    cross join
        lateral (
            (
                select u.day
                from ops.user_days as u
                where u.user_id = s.user_id and u.day < lower(s.days) and u.day > lower(s.days) - 28
                order by u.day desc limit 1
            )
            union all
            (
                select u.day
                from ops.user_days as u
                where u.user_id = s.user_id and u.day >= upper(s.days) and u.day < upper(s.days) + 27
                order by u.day limit 1
            )
        ) as d
),

active_before as (
    select
        a.user_id,
        a.day
    from active_after as a
    where
        not exists (
            select 1 from moved as m
            where m.user_id = a.user_id and m.day = a.day
        )
    union all
    select
        m.user_id,
        m.day
    from moved as m
    where not m.stays
),

intervals as (
    select
        1 as sign,
        a.day,
        lead(a.day) over (partition by a.user_id order by a.day) as next_day
    from active_after as a
    union all
    select
        -1 as sign,
        b.day,
        lead(b.day) over (partition by b.user_id order by b.day) as next_day
    from active_before as b
),

-- Where each interval begins and where it has ended.
steps as (
    select
        s.day,
        sum(s.week) as week,
        sum(s.month) as month
    from intervals as i
    cross join
        lateral (
            values
            (i.day, i.sign, i.sign),
            (least(i.day + 7, i.next_day), -i.sign, 0),
            (least(i.day + 28, i.next_day), 0, -i.sign)
        ) as s (day, week, month)
    group by s.day
    having sum(s.week) <> 0 or sum(s.month) <> 0
),

-- Between two steps the change is the same. Where it is not zero, intervals reach over every day: none is further than
-- 28 days from a day that changed, and days where nothing changes are left out, be it two thousand years of them.
runs as (
    select
        s.day,
        sum(s.week) over w as wau,
        sum(s.month) over w as mau,
        lead(s.day) over w as next_day
    from steps as s
    window w as (order by s.day)
),

windows as (
    select
        g.day::date as day,
        r.wau,
        r.mau
    from runs as r
    cross join
        lateral generate_series(r.day::timestamp, (r.next_day - 1)::timestamp, interval '1 day') as g (day)
    where r.wau <> 0 or r.mau <> 0
),

days as (
    select
        m.day,
        sum(case when m.stays then 1 else -1 end) as dau
    from moved as m
    group by m.day
),

firsts as (
    select
        f.day,
        sum(f.sign) as new_users
    from user_changes as u
    cross join
        lateral (
            values
            ((u.first_at at time zone 'UTC')::date, 1),
            ((u.old_first_at at time zone 'UTC')::date, -1)
        ) as f (day, sign)
    where f.day is not null and u.first_at is distinct from u.old_first_at
    group by f.day
    having sum(f.sign) <> 0
)

insert into ops.active_days as a (day, dau, wau, mau, new_users)
select
    x.day,
    sum(x.dau) as dau,
    sum(x.wau) as wau,
    sum(x.mau) as mau,
    sum(x.new_users) as new_users
from (
    select
        w.day,
        0 as dau,
        w.wau,
        w.mau,
        0 as new_users
    from windows as w
    union all
    select
        d.day,
        d.dau,
        0 as wau,
        0 as mau,
        0 as new_users
    from days as d
    union all
    select
        f.day,
        0 as dau,
        0 as wau,
        0 as mau,
        f.new_users
    from firsts as f
) as x
group by x.day
having sum(x.dau) <> 0 or sum(x.wau) <> 0 or sum(x.mau) <> 0 or sum(x.new_users) <> 0
order by x.day
on conflict (day) do update
    set
        dau = a.dau + excluded.dau,
        wau = a.wau + excluded.wau,
        mau = a.mau + excluded.mau,
        new_users = a.new_users + excluded.new_users
returning a.day
