-- Distinct users of an address, and addresses of a user, where many affected logins stand close together: one pass over
-- the stretch instead of a count for each. A login counts from its place to the next one of the same user and address,
-- or to the end of its window, which comes first; the running sum of beginnings less ends is the count. Open sessions of
-- a user are counted alike, by address; these end at a logout too, and one of them is the login's own.
insert into audit_dense (kind, occurred_at, event_id, many)
with spans (kind, span) as (
    values
    ('address', %(audit_window)s::interval),
    ('user', %(audit_window)s),
    ('session', %(audit_session)s)
),

affected as (
    select
        'address' as kind,
        r.address as subject,
        r.occurred_at
    from audit_affected as r
    where r.action = 'login' and r.address is not null
    union all
    select
        k.kind,
        r.user_id as subject,
        r.occurred_at
    from audit_affected as r
    cross join (values ('user'), ('session')) as k (kind)
    where r.action = 'login'
),

marked as (
    select
        a.*,
        a.occurred_at - lag(a.occurred_at) over w > s.span as apart,
        s.span
    from affected as a
    inner join spans as s on a.kind = s.kind
    window w as (partition by a.kind, a.subject order by a.occurred_at)
),

numbered as (
    select
        m.*,
        count(*) filter (where m.apart) over (partition by m.kind, m.subject order by m.occurred_at) as stretch
    from marked as m
),

stretches as materialized (
    select
        n.kind,
        n.subject,
        n.stretch,
        n.span,
        min(n.occurred_at) - n.span as low,
        max(n.occurred_at) as high
    from numbered as n
    group by n.kind, n.subject, n.stretch, n.span
    having count(*) >= %(dense)s
),

logins as (
    select
        s.*,
        l.*
    from stretches as s
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id,
                n.position,
                n.action,
                n.user_id as counted
            from analytics.login_audit as n
            where n.address = s.subject and n.action = 'login' and n.occurred_at > s.low and n.occurred_at <= s.high
            order by n.occurred_at, n.position offset 0
        ) as l
    where s.kind = 'address'
    union all
    select
        s.*,
        l.*
    from stretches as s
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id,
                n.position,
                n.action,
                n.address as counted
            from analytics.login_audit as n
            where
                n.user_id = s.subject and n.action = 'login' and n.occurred_at > s.low and n.occurred_at <= s.high
                and n.address is not null
            order by n.occurred_at, n.position offset 0
        ) as l
    where s.kind = 'user'
    union all
    select
        s.*,
        l.*
    from stretches as s
    cross join
        lateral (
            select
                n.occurred_at,
                n.event_id,
                n.position,
                n.action,
                n.address as counted
            from analytics.login_audit as n
            where
                n.user_id = s.subject and n.action in ('login', 'logout') and n.occurred_at > s.low
                and n.occurred_at <= s.high and n.address is not null
            offset 0  -- noqa: AM09
        ) as l
    where s.kind = 'session'
),

paired as (
    select
        l.*,
        lead(l.occurred_at) over w as next_at,
        lead(l.position) over w as next_position
    from logins as l
    window w as (partition by l.kind, l.subject, l.stretch, l.counted order by l.occurred_at, l.position)
),

steps as (
    select
        p.kind,
        p.subject,
        p.stretch,
        p.occurred_at,
        p.event_id,
        p.position,
        1 as step
    from paired as p
    where p.action = 'login'
    union all
    select
        p.kind,
        p.subject,
        p.stretch,
        least(p.next_at, p.occurred_at + p.span) as occurred_at,
        p.event_id,
        case
            when p.next_at < p.occurred_at + p.span then p.next_position
            else '00000000-0000-0000-0000-000000000000'
        end as position,
        -1 as step
    from paired as p
    where p.action = 'login'
),

counts as (
    select
        s.*,
        sum(s.step) over (
            partition by s.kind, s.subject, s.stretch order by s.occurred_at, s.position
            range between unbounded preceding and current row
        ) as things
    from steps as s
)

select
    c.kind,
    c.occurred_at,
    c.event_id,
    c.things >= case c.kind
        when 'user' then %(audit_addresses_per_user)s
        when 'address' then %(audit_users_per_address)s
        else 2
    end as many
from counts as c
where c.step = 1
