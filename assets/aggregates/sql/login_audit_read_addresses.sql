-- What decides whether many users log in from an address: the logins of the addresses' stretches, and before each of them
-- the last logins of the window. Enough users among the last decide it, however many there were before. If these are the
-- same few users over and over, the last login of each user of the address is read instead.
insert into audit_rows (
    kind, occurred_at, event_id, position, user_id, action, address, device, flags, judged, comes
)
with stretches as materialized (
    select
        r.*,
        greatest(r.low - %(audit_window)s, lag(r.high) over (partition by r.subject order by r.low)) as since
    from audit_reach as r
    where r.kind = 'address'
),

inside as (
    select
        s.low,
        l.*
    from stretches as s
    cross join
        lateral (
            select n.*
            from analytics.login_audit as n
            where
                (n.address, n.action, n.occurred_at) >= (s.subject, 'login', s.low)
                and (n.address, n.action, n.occurred_at) <= (s.subject, 'login', s.high)
            order by n.address, n.action, n.occurred_at, n.position offset 0
        ) as l
    where s.late
),

last_few as materialized (
    select
        s.low,
        l.*
    from stretches as s
    cross join
        lateral (
            select n.*
            from analytics.login_audit as n
            where
                (n.address, n.action, n.occurred_at) < (s.subject, 'login', s.low)
                and (n.address, n.action, n.occurred_at) > (s.subject, 'login', s.since)
            order by n.address desc, n.action desc, n.occurred_at desc, n.position desc
            limit %(audit_users_per_address)s * 2
        ) as l
),

undecided as materialized (
    select s.*
    from stretches as s
    where
        (s.subject, s.low) in (
            select
                f.address,
                f.low
            from last_few as f
            group by f.address, f.low
            having
                count(*) = %(audit_users_per_address)s * 2
                and count(distinct f.user_id) < %(audit_users_per_address)s
        )
),

last_of_each_user as (
    select
        s.low,
        l.*
    from undecided as s
    cross join
        lateral (
            select p.user_id
            from ops.login_addresses as p
            where
                (p.address, p.seen_on) >= (s.subject, (s.since at time zone 'UTC')::date)
                and (p.address, p.seen_on) <= (s.subject, 'infinity')
            order by p.address, p.seen_on offset 0
        ) as u
    cross join
        lateral (
            select n.*
            from analytics.login_audit as n
            where (n.user_id, n.address, n.action, n.occurred_at) < (u.user_id, s.subject, 'login', s.low)
            order by n.user_id desc, n.address desc, n.action desc, n.occurred_at desc, n.position desc
            limit 1
        ) as l
    where l.user_id = u.user_id and l.address = s.subject and l.action = 'login' and l.occurred_at > s.since
),

found as (
    select
        i.*,
        true as judged
    from inside as i
    union all
    select
        f.*,
        false as judged
    from last_few as f
    left join undecided as u on f.address = u.subject and f.low = u.low
    where u.low is null
    union all
    select
        b.*,
        false as judged
    from last_of_each_user as b
)

select
    'address' as kind,
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
