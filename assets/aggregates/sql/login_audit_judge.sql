-- The flags of the affected rows, each by lookups around it; kept are those that differ from what stands there.
-- "Within W before t": occurred_at > t - W. "Earlier": smaller by (occurred_at, position).
--
-- A lookup is written so that one index alone can answer it, whatever the planner knows of the table: it compares whole
-- rows of the index's columns and asks for the first few in the index's order; whether these are of the user, address
-- and action is asked of what came back. By equalities any index that begins with one of the columns looks as good
-- where there are no statistics, and then a lookup reads all that a user or an address ever did.
insert into audit_judged (occurred_at, event_id, flags)
select
    j.occurred_at,
    j.event_id,
    j.flags
from (
    select
        r.occurred_at,
        r.event_id,
        r.flags as before,
        array_remove(array[
            case when r.action = 'login' and burst.many then 'burst' end,
            case when r.action = 'logout' and not coalesce(opened.open, false) then 'logout_without_login' end,
            case when coalesce(dense_user.many, addresses.many) then 'many_addresses_for_user' end,
            case when coalesce(dense_address.many, users.many) then 'many_users_from_address' end,
            case
                when user_known.before and r.address is not null and not coalesce(address_known.before, false)
                    then 'new_address'
            end,
            case
                when user_known.before and r.device is not null and not coalesce(device_known.before, false)
                    then 'new_device'
            end,
            case when coalesce(dense_session.many, overlap.found) then 'overlapping_sessions' end
        ], null) as flags
    from audit_affected as r
    left join audit_dense as dense_user
        on
            dense_user.kind = 'user' and r.occurred_at = dense_user.occurred_at and r.event_id = dense_user.event_id
    left join audit_dense as dense_address
        on
            dense_address.kind = 'address' and r.occurred_at = dense_address.occurred_at
            and r.event_id = dense_address.event_id
    left join audit_dense as dense_session
        on
            dense_session.kind = 'session' and r.occurred_at = dense_session.occurred_at
            and r.event_id = dense_session.event_id
    -- burst: the user's logins in the burst window, counted no further than needed
    cross join
        lateral (
            select count(*) >= %(audit_burst_logins)s as many
            from (
                select 1
                from analytics.login_audit as s
                where
                    r.action = 'login'
                    and (s.user_id, s.action, s.occurred_at, s.position)
                    <= (r.user_id, r.action, r.occurred_at, r.position)
                    and (s.user_id, s.action, s.occurred_at)
                    > (r.user_id, r.action, r.occurred_at - %(audit_burst_window)s)
                order by s.user_id desc, s.action desc, s.occurred_at desc, s.position desc
                limit %(audit_burst_logins)s
            ) as few
        ) as burst
    -- logout_without_login: the user's last login before it is out of the session, or a logout came since
    left join lateral (
        select
            s.user_id = r.user_id and s.action = 'login' and s.occurred_at > r.occurred_at - %(audit_session)s
            and not coalesce((
                select
                    o.user_id = r.user_id and o.action = 'logout'
                    and (o.occurred_at, o.position) > (s.occurred_at, s.position)
                from analytics.login_audit as o
                where
                    (o.user_id, o.action, o.occurred_at, o.position)
                    < (r.user_id, r.action, r.occurred_at, r.position)
                order by o.user_id desc, o.action desc, o.occurred_at desc, o.position desc limit 1
            ), false) as open
        from analytics.login_audit as s
        where
            r.action = 'logout'
            and (s.user_id, s.action, s.occurred_at, s.position) < (r.user_id, 'login', r.occurred_at, r.position)
        order by s.user_id desc, s.action desc, s.occurred_at desc, s.position desc limit 1
    ) as opened on true
    -- new_device, new_address: the user has logged in before, never with it; what is null is never new
    left join lateral (
        select
            s.user_id = r.user_id and s.action = 'login'
            and (s.occurred_at, s.position) < (r.occurred_at, r.position) as before
        from analytics.login_audit as s
        where r.action = 'login' and (s.user_id, s.action) >= (r.user_id, r.action)
        order by s.user_id, s.action, s.occurred_at, s.position limit 1
    ) as user_known on true
    left join lateral (
        select
            s.user_id = r.user_id and s.address = r.address and s.action = 'login'
            and (s.occurred_at, s.position) < (r.occurred_at, r.position) as before
        from analytics.login_audit as s
        where r.action = 'login' and (s.user_id, s.address, s.action) >= (r.user_id, r.address, r.action)
        order by s.user_id, s.address, s.action, s.occurred_at, s.position limit 1
    ) as address_known on true
    left join lateral (
        select
            s.user_id = r.user_id and s.device = r.device
            and (s.occurred_at, s.position) < (r.occurred_at, r.position) as before
        from analytics.login_audit as s
        where r.action = 'login' and s.device is not null and (s.user_id, s.device) >= (r.user_id, r.device)
        order by s.user_id, s.device, s.occurred_at, s.position limit 1
    ) as device_known on true
    -- many_addresses_for_user, many_users_from_address: the last logins of the window decide nearly always; only when
    -- they are the same few over and over is the whole window counted
    cross join
        lateral (
            select
                count(distinct s.address) >= %(audit_addresses_per_user)s
                or count(*) = %(audit_addresses_per_user)s * 8 and (
                    select count(distinct w.address) >= %(audit_addresses_per_user)s
                    from analytics.login_audit as w
                    where
                        w.user_id = r.user_id and w.action = r.action
                        and (w.user_id, w.action, w.occurred_at, w.position)
                        <= (r.user_id, r.action, r.occurred_at, r.position)
                        and (w.user_id, w.action, w.occurred_at)
                        > (r.user_id, r.action, r.occurred_at - %(audit_window)s)
                ) as many
            from (
                select l.address
                from analytics.login_audit as l
                where
                    r.action = 'login' and dense_user.many is null
                    and (l.user_id, l.action, l.occurred_at, l.position)
                    <= (r.user_id, r.action, r.occurred_at, r.position)
                    and (l.user_id, l.action, l.occurred_at)
                    > (r.user_id, r.action, r.occurred_at - %(audit_window)s)
                order by l.user_id desc, l.action desc, l.occurred_at desc, l.position desc
                limit %(audit_addresses_per_user)s * 8
            ) as s
        ) as addresses
    cross join
        lateral (
            select
                count(distinct s.user_id) >= %(audit_users_per_address)s
                or count(*) = %(audit_users_per_address)s * 8 and (
                    select count(distinct w.user_id) >= %(audit_users_per_address)s
                    from analytics.login_audit as w
                    where
                        w.address = r.address and w.action = r.action
                        and (w.address, w.action, w.occurred_at, w.position)
                        <= (r.address, r.action, r.occurred_at, r.position)
                        and (w.address, w.action, w.occurred_at)
                        > (r.address, r.action, r.occurred_at - %(audit_window)s)
                ) as many
            from (
                select l.user_id
                from analytics.login_audit as l
                where
                    r.action = 'login' and dense_address.many is null
                    and (l.address, l.action, l.occurred_at, l.position)
                    <= (r.address, r.action, r.occurred_at, r.position)
                    and (l.address, l.action, l.occurred_at)
                    > (r.address, r.action, r.occurred_at - %(audit_window)s)
                order by l.address desc, l.action desc, l.occurred_at desc, l.position desc
                limit %(audit_users_per_address)s * 8
            ) as s
        ) as users
    -- overlapping_sessions: a login from another address without its logout; of the last logins, or, when those are
    -- all closed or from here, of each address that the user ever had. Where many are affected, audit_dense knows.
    cross join lateral (
        select
            coalesce(bool_or(s.is_open), false)
            or count(*) = 16 and exists (
                with recursive known_address (address) as (
                    (
                        select case when l.user_id = r.user_id then l.address end as address
                        from analytics.login_audit as l
                        where l.user_id >= r.user_id
                        order by l.user_id, l.address limit 1
                    )
                    union all
                    select (
                        select case when l.user_id = r.user_id then l.address end as address
                        from analytics.login_audit as l
                        where (l.user_id, l.address) > (r.user_id, a.address)
                        order by l.user_id, l.address limit 1
                    ) as address
                    from known_address as a
                    where a.address is not null
                )

                select 1
                from known_address as a
                cross join
                    lateral (
                        select
                            l.occurred_at,
                            l.position
                        from analytics.login_audit as l
                        where
                            (l.user_id, l.address, l.action, l.occurred_at, l.position)
                            < (r.user_id, a.address, r.action, r.occurred_at, r.position)
                            and (l.user_id, l.address, l.action, l.occurred_at)
                            > (r.user_id, a.address, r.action, r.occurred_at - %(audit_session)s)
                        order by
                            l.user_id desc, l.address desc, l.action desc, l.occurred_at desc, l.position desc
                        limit 1
                    ) as l
                -- not "not exists": the planner would make a join of it, over all logouts of the user
                left join lateral (
                    select
                        o.user_id = r.user_id and o.address = a.address and o.action = 'logout'
                        and (o.occurred_at, o.position) < (r.occurred_at, r.position) as came
                    from analytics.login_audit as o
                    where
                        (o.user_id, o.address, o.action, o.occurred_at, o.position)
                        > (r.user_id, a.address, 'logout', l.occurred_at, l.position)
                    order by o.user_id, o.address, o.action, o.occurred_at, o.position limit 1
                ) as o on true
                where a.address <> r.address and not coalesce(o.came, false)
            ) as found
        from (
            select
                l.address <> r.address
                and not coalesce((
                    select
                        o.user_id = r.user_id and o.address = l.address and o.action = 'logout'
                        and (o.occurred_at, o.position) < (r.occurred_at, r.position)
                    from analytics.login_audit as o
                    where
                        (o.user_id, o.address, o.action, o.occurred_at, o.position)
                        > (r.user_id, l.address, 'logout', l.occurred_at, l.position)
                    order by o.user_id, o.address, o.action, o.occurred_at, o.position limit 1
                ), false) as is_open
            from analytics.login_audit as l
            where
                r.action = 'login' and r.address is not null and dense_session.many is null
                and (l.user_id, l.action, l.occurred_at, l.position)
                < (r.user_id, r.action, r.occurred_at, r.position)
                and (l.user_id, l.action, l.occurred_at) > (r.user_id, r.action, r.occurred_at - %(audit_session)s)
            order by l.user_id desc, l.action desc, l.occurred_at desc, l.position desc limit 16
        ) as s
    ) as overlap
) as j
where j.before <> j.flags
