-- The weeks that a range touches, for every cohort. The size of a cohort is counted from the profiles.
with weeks as (
    select
        date_trunc('week', %(low)s::date)::date as low,
        date_trunc('week', %(high)s::date - 1)::date + 7 as high
),

presence as (
    select distinct
        d.user_id,
        date_trunc('week', d.day)::date as week
    from ops.user_days as d
    where d.day >= (select weeks.low from weeks) and d.day < (select weeks.high from weeks)
),

cohorts as (
    select
        date_trunc('week', p.first_seen_at, 'UTC')::date as cohort_week,
        count(*) as users
    from analytics.user_profiles as p
    group by date_trunc('week', p.first_seen_at, 'UTC')::date
),

fresh as materialized (
    select
        r.cohort_week,
        r.week,
        c.users,
        r.retained
    from (
        select
            w.week,
            date_trunc('week', p.first_seen_at, 'UTC')::date as cohort_week,
            count(*) as retained
        from presence as w
        inner join analytics.user_profiles as p on w.user_id = p.user_id
        group by w.week, date_trunc('week', p.first_seen_at, 'UTC')::date
    ) as r
    inner join cohorts as c on r.cohort_week = c.cohort_week
),

stale as (
    delete from analytics.retention_weekly as r
    where
        r.week >= (select weeks.low from weeks) and r.week < (select weeks.high from weeks)
        and not exists (
            select 1 from fresh
            where fresh.cohort_week = r.cohort_week and fresh.week = r.week
        )
    returning 1
),

changed as (
    insert into analytics.retention_weekly as r (cohort_week, week, users, retained)
    select
        fresh.cohort_week,
        fresh.week,
        fresh.users,
        fresh.retained
    from fresh
    except
    select
        t.cohort_week,
        t.week,
        t.users,
        t.retained
    from analytics.retention_weekly as t
    where t.week >= (select weeks.low from weeks) and t.week < (select weeks.high from weeks)
    order by cohort_week, week
    on conflict (cohort_week, week) do update
        set users = excluded.users, retained = excluded.retained
    returning 1
)

select
    (select count(*) from fresh) as in_all,
    (select count(*) from stale) + (select count(*) from changed) as drift
