-- analytics.active_users_daily from the counts, for some days. A day without events has no row.
with fresh as materialized (
    select
        a.day,
        a.dau,
        a.wau,
        a.mau,
        a.new_users,
        a.dau - a.new_users as returning_users,
        a.dau::double precision / a.mau as stickiness
    from ops.active_days as a
    where a.day = any(%(days)s::date[]) and a.dau > 0
),

stale as (
    delete from analytics.active_users_daily as t
    where
        t.day = any(%(days)s::date[])
        and not exists (
            select 1 from fresh
            where fresh.day = t.day
        )
    returning 1
),

changed as (
    insert into analytics.active_users_daily as t (day, dau, wau, mau, new_users, returning_users, stickiness)
    select
        fresh.day,
        fresh.dau,
        fresh.wau,
        fresh.mau,
        fresh.new_users,
        fresh.returning_users,
        fresh.stickiness
    from fresh
    except
    select
        o.day,
        o.dau,
        o.wau,
        o.mau,
        o.new_users,
        o.returning_users,
        o.stickiness
    from analytics.active_users_daily as o
    where o.day = any(%(days)s::date[])
    order by day
    on conflict (day) do update
        set
            dau = excluded.dau,
            wau = excluded.wau,
            mau = excluded.mau,
            new_users = excluded.new_users,
            returning_users = excluded.returning_users,
            stickiness = excluded.stickiness
    returning 1
)

select
    (select count(*) from fresh) as in_all,
    (select count(*) from stale) + (select count(*) from changed) as drift
