with fresh as materialized (
    select
        c.day,
        s.step::integer as step,
        s.name,
        sum(c.users) filter (where c.funnel_steps >= s.step) as users
    from (
        select
            d.day,
            d.funnel_steps,
            count(*) as users
        from ops.user_days as d
        where d.day >= %(low)s and d.day < %(high)s
        group by d.day, d.funnel_steps
    ) as c
    cross join unnest(%(names)s::text[]) with ordinality as s (name, step)
    group by c.day, s.step, s.name
),

stale as (
    delete from analytics.funnel_daily as f
    where
        f.day >= %(low)s and f.day < %(high)s
        and not exists (
            select 1 from fresh
            where fresh.day = f.day and fresh.step = f.step
        )
    returning 1
),

changed as (
    insert into analytics.funnel_daily as f (day, step, name, definition, users)
    select
        fresh.day,
        fresh.step,
        fresh.name,
        %(definition)s::text as definition,
        coalesce(fresh.users, 0) as users
    from fresh
    except
    select
        t.day,
        t.step,
        t.name,
        t.definition,
        t.users
    from analytics.funnel_daily as t
    where t.day >= %(low)s and t.day < %(high)s
    order by day, step
    on conflict (day, step) do update
        set name = excluded.name, definition = excluded.definition, users = excluded.users
    returning 1
)

select
    (select count(*) from fresh) as in_all,
    (select count(*) from stale) + (select count(*) from changed) as drift
