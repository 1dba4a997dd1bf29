-- What is unusual for the user, of all rows in the users' stretches of audit_reach, by windows over them. "Within W before
-- t": occurred_at > t - W. "Earlier": smaller by (occurred_at, position).
--
-- A stretch begins with what stands before it: the last few logins and logouts as far back as any window reaches. If there
-- may be more of them than few, also the last login and logout from each address of the user: older ones decide nothing.
insert into audit_by_user (occurred_at, event_id, before, flags)
with user_stretches as materialized (
    select
        row_number() over () as stretch,
        r.subject as user_id,
        r.low,
        r.high,
        r.low - greatest(%(audit_session)s::interval, %(audit_window)s, %(audit_burst_window)s) as since
    from audit_reach as r
    where r.kind = 'user'
),

user_rows_inside as materialized (
    select
        s.stretch,
        s.user_id,
        s.low,
        l.*
    from user_stretches as s
    cross join (values ('login'), ('logout')) as a (action)
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id,
                n.position,
                n.action,
                n.address,
                n.device,
                n.flags
            from analytics.login_audit as n
            where
                (n.user_id, n.action, n.occurred_at) >= (s.user_id, a.action, s.low)
                and (n.user_id, n.action, n.occurred_at) <= (s.user_id, a.action, s.high)
            order by n.user_id, n.action, n.occurred_at, n.position offset 0
        ) as l
),

user_rows_before as materialized (
    select
        s.stretch,
        l.*
    from user_stretches as s
    cross join (values ('login'), ('logout')) as a (action)
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id,
                n.position,
                n.action,
                n.address,
                n.device
            from analytics.login_audit as n
            where
                (n.user_id, n.action, n.occurred_at) < (s.user_id, a.action, s.low)
                and (n.user_id, n.action, n.occurred_at) > (s.user_id, a.action, s.since)
            order by n.user_id desc, n.action desc, n.occurred_at desc, n.position desc
            limit %(audit_few)s
        ) as l
),

busy_stretches as materialized (
    select s.*
    from user_stretches as s
    where
        s.stretch in (
            select b.stretch
            from user_rows_before as b
            group by b.stretch, b.action
            having count(*) = %(audit_few)s
        )
),

homes as materialized (
    select
        s.*,
        h.address
    from busy_stretches as s
    cross join
        lateral (  -- noqa: ST05
            with recursive known (address) as (
                (
                    select case when l.user_id = s.user_id then l.address end as address
                    from analytics.login_audit as l
                    where l.user_id >= s.user_id
                    order by l.user_id, l.address limit 1
                )
                union all
                select (
                    select case when l.user_id = s.user_id then l.address end as address
                    from analytics.login_audit as l
                    where (l.user_id, l.address) > (s.user_id, k.address)
                    order by l.user_id, l.address limit 1
                ) as address
                from known as k
                where k.address is not null
            )

            select k.address
            from known as k
            where k.address is not null
        ) as h
),

user_rows as (
    select
        i.stretch,
        i.user_id,
        i.low,
        i.occurred_at,
        i.event_id,
        i.position,
        i.action,
        i.address,
        i.device,
        i.flags
    from user_rows_inside as i
    union all
    select
        b.stretch,
        null as user_id,
        null as low,
        b.occurred_at,
        b.event_id,
        b.position,
        b.action,
        b.address,
        b.device,
        null as flags
    from (
        select * from user_rows_before
        union
        select
            h.stretch,
            l.occurred_at,
            l.event_id,
            l.position,
            l.action,
            l.address,
            l.device
        from homes as h
        cross join (values ('login'), ('logout')) as a (action)
        cross join
            lateral (
                select n.*
                from analytics.login_audit as n
                where (n.user_id, n.address, n.action, n.occurred_at) < (h.user_id, h.address, a.action, h.low)
                order by n.user_id desc, n.address desc, n.action desc, n.occurred_at desc, n.position desc
                limit 1
            ) as l
        where
            l.user_id = h.user_id and l.address = h.address and l.action = a.action and l.occurred_at > h.since
    ) as b
),

placed as materialized (
    select
        r.*,
        lag(r.action) over of_user as last_action,
        lag(r.occurred_at) over of_user as last_at,
        lag(r.occurred_at, %(audit_burst_logins)s - 1) over of_action as burst_at,
        row_number() over of_action as nth,
        row_number() over of_address_and_action as nth_from_address,
        row_number() over of_device as nth_with_device,
        lead(r.occurred_at) over of_address_and_action as next_login_at,
        lead(r.position) over of_address_and_action as next_login_position,
        lead(r.occurred_at) over of_address as next_at,
        lead(r.position) over of_address as next_position
    from user_rows as r
    window
        of_user as (partition by r.stretch order by r.occurred_at, r.position),
        of_action as (partition by r.stretch, r.action order by r.occurred_at, r.position),
        of_device as (partition by r.stretch, r.action, r.device order by r.occurred_at, r.position),
        of_address as (partition by r.stretch, r.address order by r.occurred_at, r.position),
        of_address_and_action as (partition by r.stretch, r.address, r.action order by r.occurred_at, r.position)
),

-- Where a user has more than one address: how many of them stand in the window, and how many have an open session. Each
-- login counts from its place to the next one from there, or to the end of the window; its session is open to the next
-- login or logout from there, or to its end. The running sum of beginnings less ends is the count.
moving as (
    select p.*
    from placed as p
    where
        p.action = 'login'
        and p.stretch in (
            select v.stretch
            from placed as v
            group by v.stretch
            having min(v.address) <> max(v.address) or bool_or(v.address is null)
        )
),

user_steps as (
    select
        m.stretch,
        m.occurred_at,
        m.position,
        m.event_id,
        (m.address is not null)::integer as counts,
        (m.address is not null)::integer as opens
    from moving as m
    union all
    select
        m.stretch,
        least(m.next_login_at, m.occurred_at + %(audit_window)s) as occurred_at,
        case
            when m.next_login_at < m.occurred_at + %(audit_window)s then m.next_login_position
            else '00000000-0000-0000-0000-000000000000'
        end as position,
        null as event_id,
        -1 as counts,
        0 as opens
    from moving as m
    where m.address is not null
    union all
    select
        m.stretch,
        least(m.next_at, m.occurred_at + %(audit_session)s) as occurred_at,
        case
            when m.next_at < m.occurred_at + %(audit_session)s then m.next_position
            else '00000000-0000-0000-0000-000000000000'
        end as position,
        null as event_id,
        0 as counts,
        -1 as opens
    from moving as m
    where m.address is not null
),

user_counts as (
    select
        u.stretch,
        u.event_id,
        u.occurred_at,
        sum(u.counts) over so_far as addresses,
        sum(u.opens) over so_far as sessions
    from user_steps as u
    window so_far as (
        partition by u.stretch order by u.occurred_at, u.position
        range between unbounded preceding and current row
    )
)

select
    p.occurred_at,
    p.event_id,
    p.flags as before,
    array_remove(array[
        case when p.action = 'login' and p.burst_at > p.occurred_at - %(audit_burst_window)s then 'burst' end,
        case
            when p.action = 'logout' and p.last_action = 'login' and p.last_at > p.occurred_at - %(audit_session)s then null
            when p.action = 'logout' then 'logout_without_login'
        end,
        case
            when p.action = 'login' and coalesce(c.addresses, 1) >= %(audit_addresses_per_user)s
                then 'many_addresses_for_user'
        end,
        case when p.address is not null and known.is_known and not known.from_address then 'new_address' end,
        case when known.is_known and not known.with_device then 'new_device' end,
        case when p.address is not null and c.sessions >= 2 then 'overlapping_sessions' end
    ], null) as flags
from placed as p
left join user_counts as c
    on p.stretch = c.stretch and p.event_id = c.event_id and p.occurred_at = c.occurred_at
-- new_address, new_device: of what is the first in the stretch, whether there was any before it
left join
    lateral (  -- noqa: ST05
        select
            p.nth > 1 or coalesce((
                select n.user_id = p.user_id and n.action = 'login'
                from analytics.login_audit as n
                where (n.user_id, n.action, n.occurred_at) < (p.user_id, 'login', p.low)
                order by n.user_id desc, n.action desc, n.occurred_at desc, n.position desc limit 1
            ), false) as is_known,
            p.address is null or p.nth_from_address > 1 or coalesce((
                select n.user_id = p.user_id and n.address = p.address and n.action = 'login'
                from analytics.login_audit as n
                where (n.user_id, n.address, n.action, n.occurred_at) < (p.user_id, p.address, 'login', p.low)
                order by n.user_id desc, n.address desc, n.action desc, n.occurred_at desc, n.position desc limit 1
            ), false) as from_address,
            p.device is null or p.nth_with_device > 1 or coalesce((
                select n.user_id = p.user_id and n.device = p.device
                from analytics.login_audit as n
                where
                    n.device is not null
                    and (n.user_id, n.device, n.occurred_at) < (p.user_id, p.device, p.low)
                order by n.user_id desc, n.device desc, n.occurred_at desc, n.position desc limit 1
            ), false) as with_device
        where p.action = 'login'
    ) as known
    on true
where p.flags is not null
