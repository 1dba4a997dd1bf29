-- What changed rows and changed flags add to the hours that have a row, or take from it. A user (an address) counts once an
-- hour; whether it counts now, and did before, is looked up among its rows of the hour, no further than needed.
with hours as materialized (
    select g.hour
    from analytics.logins_hourly as g
    where
        g.hour in (
            select date_trunc('hour', c.occurred_at, 'UTC') from audit_changed as c
            union all
            select date_trunc('hour', j.occurred_at, 'UTC') from audit_judged as j
        )
        and (%(low)s::timestamptz is null or g.hour < %(low)s or g.hour >= %(high)s)
),

changed as materialized (
    select
        c.user_id,
        c.address,
        c.action,
        c.flags,
        c.change,
        h.hour
    from audit_changed as c
    inner join hours as h on date_trunc('hour', c.occurred_at, 'UTC') = h.hour
),

users_of_hours as (
    select
        d.hour,
        d.user_id,
        count(*) filter (where d.change > 0) as came,
        count(*) filter (where d.change < 0) as went
    from changed as d
    group by d.hour, d.user_id
),

users as (
    select
        c.hour,
        sum((n.now_there > 0)::integer - (c.went > 0 or n.now_there > c.came)::integer) as users
    from users_of_hours as c
    cross join
        lateral (  -- noqa: ST05
            select count(*) as now_there
            from (values ('login'), ('logout')) as a (action)
            cross join
                lateral (
                    select 1
                    from analytics.login_audit as l
                    where
                        (l.user_id, l.action, l.occurred_at) >= (c.user_id, a.action, c.hour)
                        and (l.user_id, l.action, l.occurred_at)
                        < (c.user_id, a.action, c.hour + interval '1 hour')
                    order by l.user_id, l.action, l.occurred_at, l.position
                    limit c.came + 1
                ) as few
        ) as n
    group by c.hour
),

addresses_of_hours as (
    select
        d.hour,
        d.address,
        count(*) filter (where d.change > 0) as came,
        count(*) filter (where d.change < 0) as went
    from changed as d
    where d.address is not null
    group by d.hour, d.address
),

addresses as (
    select
        c.hour,
        sum((n.now_there > 0)::integer - (c.went > 0 or n.now_there > c.came)::integer) as addresses
    from addresses_of_hours as c
    cross join
        lateral (  -- noqa: ST05
            select count(*) as now_there
            from (values ('login'), ('logout')) as a (action)
            cross join
                lateral (
                    select 1
                    from analytics.login_audit as l
                    where
                        (l.address, l.action, l.occurred_at) >= (c.address, a.action, c.hour)
                        and (l.address, l.action, l.occurred_at)
                        < (c.address, a.action, c.hour + interval '1 hour')
                    order by l.address, l.action, l.occurred_at, l.position
                    limit c.came + 1
                ) as few
        ) as n
    group by c.hour
),

rows_and_flags as (
    select
        t.hour,
        sum(t.logins) as logins,
        sum(t.logouts) as logouts,
        sum(t.flagged) as flagged
    from (
        select
            c.hour,
            c.change * (c.action = 'login')::integer as logins,
            c.change * (c.action = 'logout')::integer as logouts,
            c.change * (c.flags <> '{}')::integer as flagged
        from changed as c
        union all
        select
            h.hour,
            0 as logins,
            0 as logouts,
            (j.flags <> '{}')::integer - (j.before <> '{}')::integer as flagged
        from audit_judged as j
        inner join hours as h on date_trunc('hour', j.occurred_at, 'UTC') = h.hour
    ) as t
    group by t.hour
),

added as (
    select
        r.*,
        coalesce(u.users, 0) as users,
        coalesce(a.addresses, 0) as addresses
    from rows_and_flags as r
    left join users as u on r.hour = u.hour
    left join addresses as a on r.hour = a.hour
),

gone as (
    delete from analytics.logins_hourly as g
    using added as d
    where g.hour = d.hour and g.logins + d.logins + g.logouts + d.logouts <= 0
)

update analytics.logins_hourly as g
set
    logins = g.logins + d.logins,
    logouts = g.logouts + d.logouts,
    users = g.users + d.users,
    addresses = g.addresses + d.addresses,
    flagged = g.flagged + d.flagged
from added as d
where g.hour = d.hour and g.logins + d.logins + g.logouts + d.logouts > 0
