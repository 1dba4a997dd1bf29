-- What decides whether many users log in from an address: the logins of the addresses' stretches, and before each of them
-- the last logins of the window; all of them if these are the same few users over and over. Enough users among the last
-- decide it, however many there were before.
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
            limit %(audit_users_per_address)s * 8
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
                count(*) = %(audit_users_per_address)s * 8
                and count(distinct f.user_id) < %(audit_users_per_address)s
        )
),

all_before as (
    select
        s.low,
        l.*
    from undecided as s
    cross join
        lateral (
            select n.*
            from analytics.login_audit as n
            where
                (n.address, n.action, n.occurred_at) < (s.subject, 'login', s.low)
                and (n.address, n.action, n.occurred_at) > (s.subject, 'login', s.since)
            order by n.address desc, n.action desc, n.occurred_at desc, n.position desc offset 0
        ) as l
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
    from all_before as b
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
