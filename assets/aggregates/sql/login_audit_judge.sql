-- Whether many users log in from an address, of all logins in the addresses' stretches of audit_reach, by windows over them;
-- together with what is unusual for the user; kept are the flags that differ from what stands there.
--
-- A stretch begins with the last logins of the window before it; with all of them if these are the same few users over and
-- over. A login counts from its place to the next one of the same user, or to the end of its window. The running sum of
-- beginnings less ends is the count.
insert into audit_judged (occurred_at, event_id, before, flags)
with address_stretches as materialized (
    select
        row_number() over () as stretch,
        r.subject as address,
        r.low,
        r.high,
        r.low - %(audit_window)s as since
    from audit_reach as r
    where r.kind = 'address'
),

logins_inside as materialized (
    select
        s.stretch,
        l.*
    from address_stretches as s
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id,
                n.position,
                n.user_id,
                n.flags
            from analytics.login_audit as n
            where
                (n.address, n.action, n.occurred_at) >= (s.address, 'login', s.low)
                and (n.address, n.action, n.occurred_at) <= (s.address, 'login', s.high)
            order by n.address, n.action, n.occurred_at, n.position offset 0
        ) as l
),

last_logins_before as materialized (
    select
        s.stretch,
        l.*
    from address_stretches as s
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id,
                n.position,
                n.user_id
            from analytics.login_audit as n
            where
                (n.address, n.action, n.occurred_at) < (s.address, 'login', s.low)
                and (n.address, n.action, n.occurred_at) > (s.address, 'login', s.since)
            order by n.address desc, n.action desc, n.occurred_at desc, n.position desc
            limit %(audit_users_per_address)s * 8
        ) as l
),

undecided_stretches as materialized (
    select s.*
    from address_stretches as s
    where
        s.stretch in (
            select b.stretch
            from last_logins_before as b
            group by b.stretch
            having
                count(*) = %(audit_users_per_address)s * 8
                and count(distinct b.user_id) < %(audit_users_per_address)s
        )
),

address_rows as materialized (
    select i.*
    from logins_inside as i
    union all
    select
        b.*,
        null as flags
    from last_logins_before as b
    where b.stretch not in (select u.stretch from undecided_stretches as u)
    union all
    select
        s.stretch,
        l.*,
        null as flags
    from undecided_stretches as s
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id,
                n.position,
                n.user_id
            from analytics.login_audit as n
            where
                (n.address, n.action, n.occurred_at) < (s.address, 'login', s.low)
                and (n.address, n.action, n.occurred_at) > (s.address, 'login', s.since)
            order by n.address desc, n.action desc, n.occurred_at desc, n.position desc offset 0
        ) as l
),

crowd as (
    select
        r.*,
        lead(r.occurred_at) over of_user as next_at,
        lead(r.position) over of_user as next_position
    from address_rows as r
    where
        r.stretch in (
            select c.stretch
            from address_rows as c
            group by c.stretch
            having count(distinct c.user_id) >= %(audit_users_per_address)s
        )
    window of_user as (partition by r.stretch, r.user_id order by r.occurred_at, r.position)
),

crowd_steps as (
    select
        c.stretch,
        c.occurred_at,
        c.position,
        c.event_id,
        1 as counts
    from crowd as c
    union all
    select
        c.stretch,
        least(c.next_at, c.occurred_at + %(audit_window)s) as occurred_at,
        case
            when c.next_at < c.occurred_at + %(audit_window)s then c.next_position
            else '00000000-0000-0000-0000-000000000000'
        end as position,
        null as event_id,
        -1 as counts
    from crowd as c
),

crowd_counts as (
    select
        s.stretch,
        s.event_id,
        s.occurred_at,
        sum(s.counts) over (
            partition by s.stretch order by s.occurred_at, s.position
            range between unbounded preceding and current row
        ) as users
    from crowd_steps as s
),

by_address as materialized (
    select
        i.occurred_at,
        i.event_id,
        i.flags as before,
        coalesce(c.users >= %(audit_users_per_address)s, false) as many_users_from_address
    from logins_inside as i
    left join crowd_counts as c
        on i.stretch = c.stretch and i.event_id = c.event_id and i.occurred_at = c.occurred_at
),

judged as (
    select
        coalesce(u.occurred_at, a.occurred_at) as occurred_at,
        coalesce(u.event_id, a.event_id) as event_id,
        coalesce(u.before, a.before) as before,
        coalesce(u.flags, array_remove(a.before, 'many_users_from_address')) as others,
        coalesce(a.many_users_from_address, 'many_users_from_address' = any(u.before)) as many_users_from_address
    from audit_by_user as u
    full outer join by_address as a on u.occurred_at = a.occurred_at and u.event_id = a.event_id
),

sorted as (
    select
        j.occurred_at,
        j.event_id,
        j.before,
        case
            when j.many_users_from_address
                then array(
                    select f.flag
                    from unnest(j.others || 'many_users_from_address'::text) as f (flag)
                    order by f.flag collate "C"
                )
            else j.others
        end as flags
    from judged as j
)

select
    s.occurred_at,
    s.event_id,
    s.before,
    s.flags
from sorted as s
where s.before <> s.flags
