-- How retention changes. A user whose cohort stays changes it only for weeks that were entered or left; one whose cohort
-- moves takes all of its weeks along.
with movers as (
    select
        u.user_id,
        date_trunc('week', u.old_first_at, 'UTC')::date as old_cohort,
        date_trunc('week', u.first_at, 'UTC')::date as cohort
    from user_changes as u
    where exists (
        select 1 from changes as c
        where c.user_id = u.user_id and c.was <> c.stays
    )
),

weeks as (
    select
        m.user_id,
        m.old_cohort,
        m.cohort,
        date_trunc('week', c.day)::date as week
    from movers as m
    inner join changes as c on m.user_id = c.user_id and c.was <> c.stays
    union
    select
        m.user_id,
        m.old_cohort,
        m.cohort,
        date_trunc('week', d.day)::date as week
    from movers as m
    cross join
        lateral (
            select u.day from ops.user_days as u
            where u.user_id = m.user_id
            offset 0  -- noqa: AM09
        ) as d
    where m.cohort is distinct from m.old_cohort
),

presence as (
    select
        w.*,
        exists (
            select 1 from ops.user_days as d
            where
                d.user_id = w.user_id and d.day between w.week and w.week + 6
                -- A value and not "not exists", of which the planner may make a join over all changes for each week.
                and coalesce((
                    select c.was from changes as c
                    where c.user_id = d.user_id and c.day = d.day
                ), true)
        )
        or exists (
            select 1 from changes as c
            where c.user_id = w.user_id and c.day between w.week and w.week + 6 and c.was and not c.stays
        ) as came_before,
        exists(
            select 1 from ops.user_days as d
            where d.user_id = w.user_id and d.day between w.week and w.week + 6
        ) as comes
    from weeks as w
)

insert into analytics.retention_weekly as r (cohort_week, week, users, retained)
select
    s.cohort,
    p.week,
    0 as users,
    sum(s.sign) as retained
from presence as p
cross join
    lateral (
        values (p.cohort, case when p.comes then 1 end), (p.old_cohort, case when p.came_before then -1 end)
    ) as s (cohort, sign)
where s.sign is not null and s.cohort is not null
group by s.cohort, p.week
having sum(s.sign) <> 0
order by s.cohort, p.week
on conflict (cohort_week, week) do update set retained = r.retained + excluded.retained
returning r.cohort_week
