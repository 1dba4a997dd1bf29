-- What decides the flags that follow from the user: the rows of the users' stretches, and before each of them, as far back
-- as any window reaches, the last logout, the last login and those that may be a burst with it; of a user of several
-- addresses also the last login and the last logout from each: older ones decide nothing. What is before an earlier stretch
-- is read for that one. What comes is judged with its user and with its address.
insert into audit_rows (
    kind, occurred_at, event_id, position, user_id, action, address, device, flags, judged, comes
)
with stretches as materialized (
    select
        r.*,
        greatest(
            r.low - greatest(%(audit_session)s::interval, %(audit_window)s, %(audit_burst_window)s),
            lag(r.high) over (partition by r.subject order by r.low)
        ) as since
    from audit_reach as r
    where r.kind = 'user'
),

sides as materialized (
    select
        s.*,
        a.action
    from stretches as s
    cross join (values ('login'), ('logout')) as a (action)
),

inside as (
    select
        s.low,
        s.since,
        l.*
    from sides as s
    cross join
        lateral (
            select n.*
            from analytics.login_audit as n
            where
                (n.user_id, n.action, n.occurred_at) >= (s.subject, s.action, s.low)
                and (n.user_id, n.action, n.occurred_at) <= (s.subject, s.action, s.high)
            order by n.user_id, n.action, n.occurred_at, n.position offset 0
        ) as l
    where s.late
),

last_one as materialized (
    select
        s.low,
        s.since,
        l.*
    from sides as s
    cross join
        lateral (
            select n.*
            from analytics.login_audit as n
            where
                (n.user_id, n.action, n.occurred_at) < (s.subject, s.action, s.low)
                and (n.user_id, n.action, n.occurred_at) > (s.subject, s.action, s.since)
            order by n.user_id desc, n.action desc, n.occurred_at desc, n.position desc
            limit 1
        ) as l
),

last_of_burst as (
    select
        f.low,
        f.since,
        l.*
    from last_one as f
    cross join
        lateral (
            select n.*
            from analytics.login_audit as n
            where
                f.action = 'login' and f.occurred_at > f.low - %(audit_burst_window)s
                and (n.user_id, n.action, n.occurred_at, n.position) < (f.user_id, f.action, f.occurred_at, f.position)
                and (n.user_id, n.action, n.occurred_at)
                > (f.user_id, f.action, greatest(f.low - %(audit_burst_window)s, f.since))
            order by n.user_id desc, n.action desc, n.occurred_at desc, n.position desc
            limit greatest(%(audit_burst_logins)s - 2, 0)
        ) as l
),

addresses as materialized (
    select
        s.*,
        p.address
    from stretches as s
    cross join
        lateral (
            select k.address
            from ops.login_addresses as k
            where
                (k.user_id, k.seen_on) >= (s.subject, (s.since at time zone 'UTC')::date)
                and (k.user_id, k.seen_on) <= (s.subject, 'infinity')
            order by k.user_id, k.seen_on offset 0
        ) as p
),

-- Whoever has one address has neither many nor a session from another one.
of_several as (
    select a.subject
    from (
        select
            s.subject,
            s.address
        from addresses as s
        union all
        select
            c.user_id,
            c.address
        from audit_changed as c
        where c.change > 0 and c.address is not null
    ) as a
    group by a.subject
    having min(a.address) <> max(a.address)
),

-- Chosen before their logins are looked up.
from_several as materialized (
    select s.*
    from addresses as s
    where s.subject in (select o.subject from of_several as o)
),

last_from_each_address as (
    select
        s.low,
        s.since,
        l.*
    from from_several as s
    cross join (values ('login'), ('logout')) as a (action)
    cross join
        lateral (
            select n.*
            from analytics.login_audit as n
            where (n.user_id, n.address, n.action, n.occurred_at) < (s.subject, s.address, a.action, s.low)
            order by n.user_id desc, n.address desc, n.action desc, n.occurred_at desc, n.position desc
            limit 1
        ) as l
    where l.user_id = s.subject and l.address = s.address and l.action = a.action and l.occurred_at > s.since
),

found as (
    select
        i.*,
        true as judged
    from inside as i
    union all
    select
        b.*,
        false as judged
    from (
        select * from last_one
        union all
        select * from last_of_burst
        union
        select * from last_from_each_address
    ) as b
)

select
    'user' as kind,
    f.occurred_at,
    f.event_id,
    f.position,
    f.user_id,
    f.action,
    f.address,
    f.device,
    f.flags,
    f.judged,
    false as comes
from found as f
union all
select
    'both' as kind,
    c.occurred_at,
    c.event_id,
    c.position,
    c.user_id,
    c.action,
    c.address,
    c.device,
    c.flags,
    true as judged,
    true as comes
from audit_changed as c
where c.change > 0
