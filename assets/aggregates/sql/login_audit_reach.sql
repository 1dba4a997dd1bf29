-- Where flags may change: for each user and address stretches of time from the changed rows on.
--
-- If nothing else of a user (of an address) stands behind the first changed row, these are the changed rows alone: this is
-- the case of all that comes in order. Otherwise each changed row reaches as far as a session or a window does, or to the
-- next login of the same user and address, behind which it makes no difference; to the logins of its burst; to the user's
-- next row, whose predecessor it is. Of "never before" only the next login, the next one with this address, and the next
-- one with this device can change. A rebuild judges all rows of its range again. A row too many costs a look, never a
-- wrong flag.
--
-- Here and in login_audit_judge.sql lookups are written so that one index alone can answer them, whatever the planner
-- knows of the table: they compare whole rows of the index's columns, and ask for the first few in the index's order;
-- whether these are of the user and action is asked of what came back.
insert into audit_reach (kind, subject, low, high)
with changed_users as (
    select
        c.user_id,
        min(c.occurred_at) as first_at,
        max(c.occurred_at) as last_at,
        count(*) as changes,
        bool_or(c.change < 0) as went
    from audit_changed as c
    group by c.user_id
),

changed_addresses as (
    select
        c.address,
        min(c.occurred_at) as first_at,
        max(c.occurred_at) as last_at,
        count(*) as changes,
        bool_or(c.change < 0) as went
    from audit_changed as c
    where c.action = 'login' and c.address is not null
    group by c.address
),

users as materialized (
    select
        u.user_id,
        u.first_at,
        u.last_at,
        u.went or (
            select count(*) > u.changes
            from (values ('login'), ('logout')) as a (action)
            cross join
                lateral (
                    select 1
                    from analytics.login_audit as n
                    where
                        (n.user_id, n.action, n.occurred_at) >= (u.user_id, a.action, u.first_at)
                        and (n.user_id, n.action, n.occurred_at) <= (u.user_id, a.action, 'infinity')
                    order by n.user_id, n.action, n.occurred_at, n.position
                    limit u.changes + 1
                ) as few
        ) as is_late
    from changed_users as u
),

addresses as materialized (
    select
        d.address,
        d.first_at,
        d.last_at,
        d.went or (
            select count(*) > d.changes
            from (
                select 1
                from analytics.login_audit as n
                where
                    (n.address, n.action, n.occurred_at) >= (d.address, 'login', d.first_at)
                    and (n.address, n.action, n.occurred_at) <= (d.address, 'login', 'infinity')
                order by n.address, n.action, n.occurred_at, n.position
                limit d.changes + 1
            ) as few
        ) as is_late
    from changed_addresses as d
),

late as materialized (
    select
        c.*,
        coalesce(u.is_late, false) as late_for_user,
        coalesce(d.is_late, false) and c.action = 'login' as late_for_address
    from audit_changed as c
    left join users as u on c.user_id = u.user_id
    left join addresses as d on c.address = d.address
    where u.is_late or d.is_late and c.action = 'login'
),

followed as materialized (
    select
        c.*,
        c.occurred_at + greatest(%(audit_session)s::interval, %(audit_window)s::interval) as span_end,
        c.occurred_at + %(audit_window)s as window_end,
        (
            select case when n.user_id = c.user_id and n.address = c.address and n.action = 'login' then n.occurred_at end
            from analytics.login_audit as n
            where
                (n.user_id, n.address, n.action, n.occurred_at, n.position)
                > (c.user_id, c.address, 'login', c.occurred_at, c.position)
            order by n.user_id, n.address, n.action, n.occurred_at, n.position limit 1
        ) as same_at,
        case
            when c.late_for_user and c.device is not null
                then (
                    select case when n.user_id = c.user_id and n.device = c.device then n.occurred_at end
                    from analytics.login_audit as n
                    where
                        n.device is not null
                        and (n.user_id, n.device, n.occurred_at, n.position)
                        > (c.user_id, c.device, c.occurred_at, c.position)
                    order by n.user_id, n.device, n.occurred_at, n.position limit 1
                )
        end as device_at,
        case
            when c.late_for_user
                then (
                    select case when n.user_id = c.user_id and n.action = 'logout' then n.occurred_at end
                    from analytics.login_audit as n
                    where
                        (n.user_id, n.action, n.occurred_at, n.position)
                        > (c.user_id, 'logout', c.occurred_at, c.position)
                    order by n.user_id, n.action, n.occurred_at, n.position limit 1
                )
        end as logout_at
    from late as c
),

burst as (
    select
        c.*,
        l.login_at,
        l.burst_at
    from followed as c
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
                    c.late_for_user
                    and (f.user_id, f.action, f.occurred_at, f.position)
                    > (c.user_id, 'login', c.occurred_at, c.position)
                order by f.user_id, f.action, f.occurred_at, f.position limit %(audit_burst_logins)s
            ) as n
            where n.user_id = c.user_id and n.action = 'login'
        ) as l
),

reaches as (
    select
        'user' as kind,
        u.user_id as subject,
        tstzrange(u.first_at, u.last_at, '[]') as reach
    from users as u
    where not u.is_late
    union all
    select
        'address' as kind,
        d.address as subject,
        tstzrange(d.first_at, d.last_at, '[]') as reach
    from addresses as d
    where not d.is_late
    union all
    select
        'user' as kind,
        c.user_id as subject,
        tstzrange(
            c.occurred_at,
            greatest(least(c.span_end, c.same_at), c.burst_at, least(c.login_at, c.logout_at)),
            '[]'
        ) as reach
    from burst as c
    where c.late_for_user
    union all
    select
        'user' as kind,
        c.user_id as subject,
        tstzrange(p.at, p.at, '[]') as reach
    from burst as c
    cross join unnest(array[c.login_at, c.same_at, c.device_at]) as p (at)
    where c.late_for_user and c.action = 'login' and p.at is not null
    union all
    select
        'address' as kind,
        c.address as subject,
        tstzrange(c.occurred_at, least(c.window_end, c.same_at), '[]') as reach
    from followed as c
    where c.late_for_address
    union all
    select
        'user' as kind,
        l.user_id as subject,
        tstzrange(%(low)s, %(high)s) as reach
    from analytics.login_audit as l
    where l.occurred_at >= %(low)s::timestamptz and l.occurred_at < %(high)s::timestamptz
    group by l.user_id
    union all
    select
        'address' as kind,
        l.address as subject,
        tstzrange(%(low)s, %(high)s) as reach
    from analytics.login_audit as l
    where
        l.occurred_at >= %(low)s::timestamptz and l.occurred_at < %(high)s::timestamptz
        and l.action = 'login' and l.address is not null
    group by l.address
),

stretches as (
    select
        r.kind,
        r.subject,
        unnest(range_agg(r.reach)) as reach
    from reaches as r
    group by r.kind, r.subject
)

select
    s.kind,
    s.subject,
    lower(s.reach) as low,
    upper(s.reach) as high
from stretches as s
