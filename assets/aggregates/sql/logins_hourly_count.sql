-- Count whole hours again from login_audit and write the rows that differ; an hour without logins has no row.
with counted as materialized (
    select
        h.hour,
        l.logins,
        l.logouts,
        l.users,
        l.addresses,
        l.flagged
    from audit_hours as h
    cross join lateral (
        select
            count(*) filter (where a.action = 'login') as logins,
            count(*) filter (where a.action = 'logout') as logouts,
            count(distinct a.user_id) as users,
            count(distinct a.address) as addresses,
            count(*) filter (where a.flags <> '{}') as flagged
        from analytics.login_audit as a
        where a.occurred_at >= h.hour and a.occurred_at < h.hour + interval '1 hour'
    ) as l
),

gone as (
    delete from analytics.logins_hourly as g
    using counted as c
    where g.hour = c.hour and c.logins + c.logouts = 0
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
    where c.logins + c.logouts > 0
    order by c.hour
    on conflict (hour) do update
        set
            logins = excluded.logins,
            logouts = excluded.logouts,
            users = excluded.users,
            addresses = excluded.addresses,
            flagged = excluded.flagged
        where
        (g.logins, g.logouts, g.users, g.addresses, g.flagged)
        <> (excluded.logins, excluded.logouts, excluded.users, excluded.addresses, excluded.flagged)
    returning 1
)

select
    (
        select count(*) from counted as c
        where c.logins + c.logouts > 0
    ) as hours,
    (select count(*) from gone) + (select count(*) from written) as differed
