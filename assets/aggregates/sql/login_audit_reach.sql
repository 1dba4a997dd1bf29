-- Where flags may change, read before what comes is in the table: for each user and address stretches of time from the
-- changed rows on.
--
-- If nothing of a user (of an address) stands behind the first changed row, these are the changed rows alone: this is the
-- case of all that comes in order. Otherwise each changed row reaches as far as a session or a window does, or to the next
-- login of the same user and address, behind which it makes no difference; to the logins of its burst; to the user's next
-- row, whose predecessor it is. Of "never before" only the next login, the next one with this address, and the next one
-- with this device can change. A rebuild judges all rows of its range again. A row too many costs a look, never a wrong
-- flag.
--
-- An address from which too few users ever came for a flag has no stretch, unless something is gone: ops.login_addresses
-- knows them all, and a user who is in it too long is counted in vain.
--
-- Here and where rows are read, lookups are written so that one index alone can answer them, whatever the planner knows of
-- the table: they compare whole rows of the index's columns, and ask for the first few in the index's order; whether these
-- are of the user and action is asked of what came back.
insert into audit_reach (kind, subject, low, high, late)
with subjects as materialized (
    select
        s.*,
        s.went or exists (
            select 1
            from (values ('login'), ('logout')) as a (action)
            cross join
                lateral (
                    (
                        select 1
                        from analytics.login_audit as n
                        where
                            s.kind = 'user'
                            and (n.user_id, n.action, n.occurred_at) >= (s.subject, a.action, s.first_at)
                            and (n.user_id, n.action, n.occurred_at) <= (s.subject, a.action, 'infinity')
                        order by n.user_id, n.action, n.occurred_at limit 1
                    )
                    union all
                    (
                        select 1
                        from analytics.login_audit as n
                        where
                            s.kind = 'address' and a.action = 'login'
                            and (n.address, n.action, n.occurred_at) >= (s.subject, a.action, s.first_at)
                            and (n.address, n.action, n.occurred_at) <= (s.subject, a.action, 'infinity')
                        order by n.address, n.action, n.occurred_at limit 1
                    )
                ) as behind
        ) as late
    from (
        select
            k.kind,
            k.subject,
            min(c.occurred_at) as first_at,
            max(c.occurred_at) as last_at,
            bool_or(c.change < 0) as went,
            count(distinct c.user_id) as users
        from audit_changed as c
        cross join
            lateral (
                values ('user', c.user_id), ('address', case when c.action = 'login' then c.address end)
            ) as k (kind, subject)
        where k.subject is not null
        group by k.kind, k.subject
    ) as s
    where
        s.kind = 'user' or s.went or s.users + (
            select count(*)
            from (
                select 1
                from ops.login_addresses as p
                where
                    (p.address, p.seen_on)
                    >= (s.subject, ((s.first_at - %(audit_window)s) at time zone 'UTC')::date)
                    and (p.address, p.seen_on) <= (s.subject, 'infinity')
                order by p.address, p.seen_on limit %(audit_users_per_address)s
            ) as known
        ) >= %(audit_users_per_address)s
),

followed as materialized (
    select
        c.*,
        coalesce(u.late, false) as late_for_user,
        coalesce(d.late, false) as late_for_address,
        (
            select case when n.user_id = c.user_id and n.address = c.address and n.action = 'login' then n.occurred_at end
            from analytics.login_audit as n
            where
                (n.user_id, n.address, n.action, n.occurred_at, n.position)
                > (c.user_id, c.address, 'login', c.occurred_at, c.position)
            order by n.user_id, n.address, n.action, n.occurred_at, n.position limit 1
        ) as same_at,
        (
            select case when n.user_id = c.user_id and n.device = c.device then n.occurred_at end
            from analytics.login_audit as n
            where
                u.late and n.device is not null
                and (n.user_id, n.device, n.occurred_at, n.position) > (c.user_id, c.device, c.occurred_at, c.position)
            order by n.user_id, n.device, n.occurred_at, n.position limit 1
        ) as device_at,
        (
            select case when n.user_id = c.user_id and n.action = 'logout' then n.occurred_at end
            from analytics.login_audit as n
            where
                u.late
                and (n.user_id, n.action, n.occurred_at, n.position) > (c.user_id, 'logout', c.occurred_at, c.position)
            order by n.user_id, n.action, n.occurred_at, n.position limit 1
        ) as logout_at,
        l.login_at,
        l.burst_at
    from audit_changed as c
    left join subjects as u on u.kind = 'user' and c.user_id = u.subject
    left join subjects as d on d.kind = 'address' and c.address = d.subject and c.action = 'login'
    cross join
        lateral (
            select
                min(n.occurred_at) as login_at,
                max(n.occurred_at) filter (where n.occurred_at < c.occurred_at + %(audit_burst_window)s) as burst_at
            from (
                select
                    f.user_id,
                    f.action,
                    f.occurred_at
                from analytics.login_audit as f
                where
                    u.late
                    and (f.user_id, f.action, f.occurred_at, f.position)
                    > (c.user_id, 'login', c.occurred_at, c.position)
                order by f.user_id, f.action, f.occurred_at, f.position limit %(audit_burst_logins)s
            ) as n
            where n.user_id = c.user_id and n.action = 'login'
        ) as l
    where u.late or d.late
),

reaches as (
    select
        s.kind,
        s.subject,
        tstzrange(s.first_at, s.last_at, '[]') as reach,
        false as late
    from subjects as s
    where not s.late
    union all
    select
        'user' as kind,
        c.user_id as subject,
        r.reach,
        true as late
    from followed as c
    cross join
        lateral (
            select
                tstzrange(
                    c.occurred_at,
                    greatest(
                        least(
                            c.occurred_at + greatest(%(audit_session)s::interval, %(audit_window)s::interval), c.same_at
                        ),
                        c.burst_at,
                        least(c.login_at, c.logout_at)
                    ),
                    '[]'
                ) as reach
            union all
            select tstzrange(p.at, p.at, '[]') as reach
            from unnest(array[c.login_at, c.same_at, c.device_at]) as p (at)
            where c.action = 'login' and p.at is not null
        ) as r
    where c.late_for_user
    union all
    select
        'address' as kind,
        c.address as subject,
        tstzrange(c.occurred_at, least(c.occurred_at + %(audit_window)s, c.same_at), '[]') as reach,
        true as late
    from followed as c
    where c.late_for_address
    union all
    select distinct
        k.kind,
        k.subject,
        tstzrange(%(low)s, %(high)s) as reach,
        true as late
    from analytics.login_audit as l
    cross join
        lateral (
            values ('user', l.user_id), ('address', case when l.action = 'login' then l.address end)
        ) as k (kind, subject)
    where l.occurred_at >= %(low)s::timestamptz and l.occurred_at < %(high)s::timestamptz and k.subject is not null
),

stretches as (
    select
        r.kind,
        r.subject,
        unnest(range_agg(r.reach)) as reach,
        bool_or(r.late) as late
    from reaches as r
    group by r.kind, r.subject
)

select
    s.kind,
    s.subject,
    lower(s.reach) as low,
    upper(s.reach) as high,
    s.late
from stretches as s
