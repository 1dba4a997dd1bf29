-- The rows whose flags a changed row decides with others: itself, and later ones. Of "never before with this device"
-- only the next login with it can change; what a session or an address adds to a window ends where the next one of
-- the same user and address begins. `offset 0` keeps each lookup a lookup, one index range a changed row. A row too
-- many (equal times) costs a look, never a wrong flag.
insert into audit_affected (occurred_at, event_id, position, user_id, action, address, device, flags)
with changed as materialized (
    select
        c.*,
        c.action = 'login' as is_login,
        case when c.action = 'login' then least(c.window_end, next_login.at) end as counted_until,
        least(c.session_end, next_login.at, next_logout.at) as open_until
    from (
        select
            a.*,
            a.occurred_at + %(audit_window)s as window_end,
            a.occurred_at + %(audit_session)s as session_end
        from audit_changed as a
    ) as c
    left join lateral (
        select n.occurred_at as at
        from analytics.login_audit as n
        where
            n.user_id = c.user_id and n.address = c.address and n.action = 'login'
            and (n.occurred_at, n.position) > (c.occurred_at, c.position)
        order by n.occurred_at, n.position limit 1
    ) as next_login on true
    left join lateral (
        select n.occurred_at as at
        from analytics.login_audit as n
        where
            n.user_id = c.user_id and n.address = c.address and n.action = 'logout'
            and (n.occurred_at, n.position) > (c.occurred_at, c.position)
        order by n.occurred_at, n.position limit 1
    ) as next_logout on true
),

-- stretches of time instead of one a row: those of many rows that stand close together overlap
reaches as (
    select
        c.user_id,
        null as address,
        unnest(range_agg(tstzrange(c.occurred_at, greatest(c.open_until, c.counted_until), '[]'))) as reach
    from changed as c
    group by c.user_id
    union all
    select
        null as user_id,
        c.address,
        unnest(range_agg(tstzrange(c.occurred_at, c.counted_until, '[]'))) as reach
    from changed as c
    where c.is_login and c.address is not null
    group by c.address
),

affected as (
    select
        c.occurred_at,
        c.event_id
    from changed as c
    union
    -- logout_without_login: the user's next logout
    select
        l.occurred_at,
        l.event_id
    from changed as c
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id
            from analytics.login_audit as n
            where
                n.user_id = c.user_id and n.action = 'logout'
                and (n.occurred_at, n.position) > (c.occurred_at, c.position)
            order by n.occurred_at, n.position limit 1
        ) as l
    union
    -- new_device, new_address: the user's next login, which may have been the first or may be so now
    select
        l.occurred_at,
        l.event_id
    from changed as c
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id
            from analytics.login_audit as n
            where
                n.user_id = c.user_id and n.action = 'login'
                and (n.occurred_at, n.position) > (c.occurred_at, c.position)
            order by n.occurred_at, n.position limit 1
        ) as l
    where c.is_login
    union
    -- new_device: the next login with this device
    select
        l.occurred_at,
        l.event_id
    from changed as c
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id
            from analytics.login_audit as n
            where
                n.user_id = c.user_id and n.device = c.device
                and (n.occurred_at, n.position) > (c.occurred_at, c.position)
            order by n.occurred_at, n.position limit 1
        ) as l
    where c.is_login
    union
    -- new_address: the next login with this address
    select
        l.occurred_at,
        l.event_id
    from changed as c
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id
            from analytics.login_audit as n
            where
                n.user_id = c.user_id and n.address = c.address and n.action = 'login'
                and (n.occurred_at, n.position) > (c.occurred_at, c.position)
            order by n.occurred_at, n.position limit 1
        ) as l
    where c.is_login
    union
    -- burst: a row counts among so many logins at most
    select
        l.occurred_at,
        l.event_id
    from changed as c
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id
            from analytics.login_audit as n
            where
                n.user_id = c.user_id and n.action = 'login'
                and (n.occurred_at, n.position) > (c.occurred_at, c.position)
                and n.occurred_at < c.occurred_at + %(audit_burst_window)s
            order by n.occurred_at, n.position limit %(audit_burst_logins)s
        ) as l
    where c.is_login
    union
    -- overlapping_sessions, many_addresses_for_user: the user's logins while it is open, or counted
    select
        l.occurred_at,
        l.event_id
    from reaches as s
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id
            from analytics.login_audit as n
            where
                n.user_id = s.user_id and n.action = 'login'
                and n.occurred_at >= lower(s.reach) and n.occurred_at <= upper(s.reach)
            order by n.occurred_at, n.position offset 0
        ) as l
    where s.user_id is not null
    union
    -- many_users_from_address
    select
        l.occurred_at,
        l.event_id
    from reaches as s
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id
            from analytics.login_audit as n
            where
                n.address = s.address and n.action = 'login'
                and n.occurred_at >= lower(s.reach) and n.occurred_at <= upper(s.reach)
            order by n.occurred_at, n.position offset 0
        ) as l
    where s.address is not null
)

select l.*
from affected as a
cross join
    lateral (
        select
            n.occurred_at,
            n.event_id,
            n.position,
            n.user_id,
            n.action,
            n.address,
            n.device,
            n.flags
        from analytics.login_audit as n
        where n.occurred_at = a.occurred_at and n.event_id = a.event_id
        order by n.occurred_at, n.position offset 0
    ) as l
on conflict (occurred_at, event_id) do nothing
