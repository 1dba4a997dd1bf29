-- The flags of all rows that are judged, by windows over what was read; kept are those that differ from what stands there.
-- "Within W before t": occurred_at > t - W. "Earlier": smaller by (occurred_at, position).
insert into audit_judged (occurred_at, event_id, before, flags, comes)
with placed as materialized (
    select
        r.*,
        lag(r.action) over of_user as last_action,
        lag(r.occurred_at) over of_user as last_at,
        lag(r.occurred_at, %(audit_burst_logins)s - 1) over of_action as burst_at,
        row_number() over of_action as nth,
        lag(r.address) over of_action as last_address,
        lag(r.device) over of_action as last_device
    from audit_rows as r
    where r.kind in ('user', 'both')
    window
        of_user as (partition by r.user_id order by r.occurred_at, r.position),
        of_action as (partition by r.user_id, r.action order by r.occurred_at, r.position)
),

-- Rows of users who came with another address or device than the time before: nobody else came with a new one.
changing as (
    select
        p.*,
        row_number() over of_address as nth_from_address,
        row_number() over of_device as nth_with_device
    from placed as p
    where
        p.user_id in (
            select c.user_id
            from placed as c
            where
                c.judged and c.action = 'login'
                and (c.address is distinct from c.last_address or c.device is distinct from c.last_device)
        )
    window
        of_address as (partition by p.user_id, p.action, p.address order by p.occurred_at, p.position),
        of_device as (partition by p.user_id, p.action, p.device order by p.occurred_at, p.position)
),

-- Whether the user logged in before, from this address, with this device: if not among what was read, it is looked up.
known as (
    select
        p.occurred_at,
        p.event_id,
        p.address is not null and p.nth_from_address = 1 and not coalesce((
            select n.user_id = p.user_id and n.address = p.address and n.action = 'login'
            from analytics.login_audit as n
            where
                (n.user_id, n.address, n.action, n.occurred_at, n.position)
                < (p.user_id, p.address, 'login', p.occurred_at, p.position)
            order by n.user_id desc, n.address desc, n.action desc, n.occurred_at desc, n.position desc limit 1
        ), false) as new_address,
        p.device is not null and p.nth_with_device = 1 and not coalesce((
            select n.user_id = p.user_id and n.device = p.device
            from analytics.login_audit as n
            where
                n.device is not null
                and (n.user_id, n.device, n.occurred_at, n.position)
                < (p.user_id, p.device, p.occurred_at, p.position)
            order by n.user_id desc, n.device desc, n.occurred_at desc, n.position desc limit 1
        ), false) as new_device
    from changing as p
    where
        p.judged and p.action = 'login' and (p.nth_from_address = 1 or p.nth_with_device = 1)
        and (
            p.nth > 1 or (
                select n.user_id = p.user_id and n.action = 'login'
                from analytics.login_audit as n
                where
                    (n.user_id, n.action, n.occurred_at, n.position) < (p.user_id, 'login', p.occurred_at, p.position)
                order by n.user_id desc, n.action desc, n.occurred_at desc, n.position desc limit 1
            )
        )
),

-- What counts from a login on, and until when: an address of the user to the next login from there or the end of the window;
-- an open session to the next login or logout from there or its own end; a user of the address to the next login or the end
-- of the window. Users with one address are left out: theirs is no question of counting.
moving as (
    select
        p.*,
        lead(p.occurred_at) over of_address as next_at,
        lead(p.position) over of_address as next_position,
        lead(p.occurred_at) over of_address_and_action as next_login_at,
        lead(p.position) over of_address_and_action as next_login_position
    from placed as p
    where
        p.user_id in (
            select v.user_id
            from placed as v
            group by v.user_id
            having
                min(v.address) <> max(v.address) or bool_or(v.address is null) or %(audit_addresses_per_user)s = 1
        )
    window
        of_address as (partition by p.user_id, p.address order by p.occurred_at, p.position),
        of_address_and_action as (partition by p.user_id, p.address, p.action order by p.occurred_at, p.position)
),

stays as (
    select
        f.flag,
        m.user_id as subject,
        m.occurred_at,
        m.position,
        m.event_id,
        m.judged,
        (m.address is not null)::integer as counts,
        f.next_at,
        f.next_position,
        f.until
    from moving as m
    cross join
        lateral (
            values
            (
                'many_addresses_for_user', m.next_login_at, m.next_login_position,
                m.occurred_at + %(audit_window)s
            ),
            ('overlapping_sessions', m.next_at, m.next_position, m.occurred_at + %(audit_session)s)
        ) as f (flag, next_at, next_position, until)
    where m.action = 'login'
    union all
    select
        'many_users_from_address' as flag,
        r.address as subject,
        r.occurred_at,
        r.position,
        r.event_id,
        r.judged,
        1 as counts,
        lead(r.occurred_at) over of_user as next_at,
        lead(r.position) over of_user as next_position,
        r.occurred_at + %(audit_window)s as until
    from audit_rows as r
    where
        r.kind in ('address', 'both') and r.action = 'login'
        and r.address in (
            select a.subject from audit_reach as a
            where a.kind = 'address'
        )
    window of_user as (partition by r.address, r.user_id order by r.occurred_at, r.position)
),

-- The running sum of beginnings less ends is how many count.
counted as (
    select
        s.flag,
        s.occurred_at,
        e.event_id,
        e.counts,
        sum(e.counts) over (partition by s.flag, s.subject order by e.occurred_at, e.position) as so_many
    from stays as s
    cross join
        lateral (
            values
            (s.occurred_at, s.position, case when s.judged then s.event_id end, s.counts),
            (
                least(s.next_at, s.until),
                case when s.next_at < s.until then s.next_position else '00000000-0000-0000-0000-000000000000' end,
                null,
                -s.counts
            )
        ) as e (occurred_at, position, event_id, counts)
),

flagged as (
    select
        p.occurred_at,
        p.event_id,
        f.flag
    from placed as p
    cross join
        lateral (
            values
            ('burst', p.action = 'login' and p.burst_at > p.occurred_at - %(audit_burst_window)s),
            (
                'logout_without_login',
                p.action = 'logout'
                and (p.last_action = 'login' and p.last_at > p.occurred_at - %(audit_session)s) is not true
            )
        ) as f (flag, holds)
    where p.judged and f.holds
    union all
    select
        k.occurred_at,
        k.event_id,
        f.flag
    from known as k
    cross join lateral (values ('new_address', k.new_address), ('new_device', k.new_device)) as f (flag, holds)
    where f.holds
    union all
    select
        c.occurred_at,
        c.event_id,
        c.flag
    from counted as c
    inner join
        (
            values
            ('many_addresses_for_user', %(audit_addresses_per_user)s),
            ('many_users_from_address', %(audit_users_per_address)s),
            ('overlapping_sessions', 2)
        ) as t (flag, least)
        on c.flag = t.flag
    where c.event_id is not null and c.so_many >= t.least and (c.flag <> 'overlapping_sessions' or c.counts = 1)
),

-- A row may be judged for its user, for its address, or for both; a flag that is not judged stays.
judged as (
    select
        r.occurred_at,
        r.event_id,
        r.flags as before,
        r.comes,
        bool_or(r.kind <> 'address') as by_user,
        bool_or(r.kind <> 'user') as by_address
    from audit_rows as r
    where r.judged
    group by r.occurred_at, r.event_id, r.flags, r.comes
),

gathered as (
    select
        f.occurred_at,
        f.event_id,
        array_agg(f.flag order by f.flag collate "C") as flags  -- noqa: RF02,RF03
    from (
        select * from flagged
        union all
        select
            j.occurred_at,
            j.event_id,
            b.flag
        from judged as j
        cross join unnest(j.before) as b (flag)
        where not case when b.flag = 'many_users_from_address' then j.by_address else j.by_user end
    ) as f
    group by f.occurred_at, f.event_id
)

select
    j.occurred_at,
    j.event_id,
    j.before,
    coalesce(g.flags, '{}') as flags,
    j.comes
from judged as j
left join gathered as g on j.occurred_at = g.occurred_at and j.event_id = g.event_id
where j.before <> coalesce(g.flags, '{}')
