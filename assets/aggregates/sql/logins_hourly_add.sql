-- What changes in the table and in its flags adds to the hours outside a range, or takes from them, read before what comes
-- is in the table. A user (an address) counts once an hour: whether there is another row of it in the hour is looked up; an
-- hour that has no row holds nobody.
with changed as materialized (
    select
        c.*,
        date_trunc('hour', c.occurred_at, 'UTC') as hour
    from audit_changed as c
    where %(low)s::timestamptz is null or c.occurred_at < %(low)s or c.occurred_at >= %(high)s
),

subjects as (
    select
        c.hour,
        k.kind,
        k.subject,
        bool_or(c.change > 0)::integer - bool_or(c.change < 0)::integer as change
    from changed as c
    cross join lateral (values ('user', c.user_id), ('address', c.address)) as k (kind, subject)
    where k.subject is not null
    group by c.hour, k.kind, k.subject
),

alone as (
    select s.*
    from subjects as s
    left join analytics.logins_hourly as g on s.hour = g.hour
    where
        s.change <> 0
        and (
            g.hour is null
            or not exists (
                select 1
                from (values ('login'), ('logout')) as a (action)
                cross join
                    lateral (
                        (
                            select 1
                            from analytics.login_audit as l
                            where
                                s.kind = 'user'
                                and (l.user_id, l.action, l.occurred_at) >= (s.subject, a.action, s.hour)
                                and (l.user_id, l.action, l.occurred_at)
                                < (s.subject, a.action, s.hour + interval '1 hour')
                            order by l.user_id, l.action, l.occurred_at limit 1
                        )
                        union all
                        (
                            select 1
                            from analytics.login_audit as l
                            where
                                s.kind = 'address'
                                and (l.address, l.action, l.occurred_at) >= (s.subject, a.action, s.hour)
                                and (l.address, l.action, l.occurred_at)
                                < (s.subject, a.action, s.hour + interval '1 hour')
                            order by l.address, l.action, l.occurred_at limit 1
                        )
                    ) as other
            )
        )
),

added as (
    select
        t.hour,
        sum(t.logins) as logins,
        sum(t.logouts) as logouts,
        sum(t.users) as users,
        sum(t.addresses) as addresses,
        sum(t.flagged) as flagged
    from (
        select
            c.hour,
            c.change * (c.action = 'login')::integer as logins,
            c.change * (c.action = 'logout')::integer as logouts,
            0 as users,
            0 as addresses,
            c.change * (c.flags <> '{}')::integer as flagged
        from changed as c
        union all
        select
            s.hour,
            0 as logins,
            0 as logouts,
            s.change * (s.kind = 'user')::integer as users,
            s.change * (s.kind = 'address')::integer as addresses,
            0 as flagged
        from alone as s
        union all
        select
            date_trunc('hour', j.occurred_at, 'UTC') as hour,
            0 as logins,
            0 as logouts,
            0 as users,
            0 as addresses,
            (j.flags <> '{}')::integer - (j.before <> '{}')::integer as flagged
        from audit_judged as j
        where %(low)s::timestamptz is null or j.occurred_at < %(low)s or j.occurred_at >= %(high)s
    ) as t
    group by t.hour
),

gone as (
    delete from analytics.logins_hourly as g
    using added as d
    where g.hour = d.hour and g.logins + d.logins + g.logouts + d.logouts = 0
)

insert into analytics.logins_hourly as g (hour, logins, logouts, users, addresses, flagged)
select
    d.hour,
    d.logins,
    d.logouts,
    d.users,
    d.addresses,
    d.flagged
from added as d
left join analytics.logins_hourly as h on d.hour = h.hour
where coalesce(h.logins + h.logouts, 0) + d.logins + d.logouts > 0
order by d.hour
on conflict (hour) do update
    set
        logins = g.logins + excluded.logins,
        logouts = g.logouts + excluded.logouts,
        users = g.users + excluded.users,
        addresses = g.addresses + excluded.addresses,
        flagged = g.flagged + excluded.flagged
