-- Count the hours of a range again from login_audit and write those that differ; an hour without logins has no row.
with counted as materialized (
    select
        date_trunc('hour', l.occurred_at, 'UTC') as hour,
        count(*) filter (where l.action = 'login') as logins,
        count(*) filter (where l.action = 'logout') as logouts,
        count(distinct l.user_id) as users,
        count(distinct l.address) as addresses,
        count(*) filter (where l.flags <> '{}') as flagged
    from analytics.login_audit as l
    where l.occurred_at >= %(low)s and l.occurred_at < %(high)s
    group by date_trunc('hour', l.occurred_at, 'UTC')
),

gone as (
    delete from analytics.logins_hourly as g
    where
        g.hour >= %(low)s and g.hour < %(high)s
        and g.hour not in (select c.hour from counted as c)
    returning 1
),

written as (
    insert into analytics.logins_hourly as g (hour, logins, logouts, users, addresses, flagged)
    select
        c.hour,
        c.logins,
        c.logouts,
        c.users,
        c.addresses,
        c.flagged
    from counted as c
    except
    select
        t.hour,
        t.logins,
        t.logouts,
        t.users,
        t.addresses,
        t.flagged
    from analytics.logins_hourly as t
    where t.hour >= %(low)s and t.hour < %(high)s
    order by hour
    on conflict (hour) do update
        set
            logins = excluded.logins,
            logouts = excluded.logouts,
            users = excluded.users,
            addresses = excluded.addresses,
            flagged = excluded.flagged
    returning 1
)

select
    (select count(*) from counted) as hours,
    (select count(*) from gone) + (select count(*) from written) as differed
