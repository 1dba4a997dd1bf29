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

-- `comes`: what is there now, or came just now, is known to be in the week.
weeks as (
    select
        w.user_id,
        w.old_cohort,
        w.cohort,
        w.week,
        bool_or(w.comes) as comes
    from (
        select
            m.*,
            date_trunc('week', c.day)::date as week,
            c.stays as comes
        from movers as m
        inner join changes as c on m.user_id = c.user_id and c.was <> c.stays
        union all
        select
            m.*,
            date_trunc('week', d.day)::date as week,
            true as comes
        from movers as m
        cross join
            lateral (
                select u.day from ops.user_days as u
                where u.user_id = m.user_id
                offset 0  -- noqa: AM09
            ) as d
        where m.cohort <> m.old_cohort
    ) as w
    group by w.user_id, w.old_cohort, w.cohort, w.week
),

presence as (
    select
        w.*,
        -- Who is new has not been there before.
        w.old_cohort is not null
        and (
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
            )
        ) as came_before,
        w.comes
        or exists (
            select 1 from ops.user_days as d
            where d.user_id = w.user_id and d.day between w.week and w.week + 6
        ) as comes_now
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
        values (p.cohort, case when p.comes_now then 1 end), (p.old_cohort, case when p.came_before then -1 end)
    ) as s (cohort, sign)
where s.sign is not null and s.cohort is not null
group by s.cohort, p.week
having sum(s.sign) <> 0
order by s.cohort, p.week
on conflict (cohort_week, week) do update set retained = r.retained + excluded.retained
returning r.cohort_week
