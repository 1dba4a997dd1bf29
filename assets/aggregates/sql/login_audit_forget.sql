-- The rows of erased users go as far as their event is gone: what a user does while being erased stays. Rows that were
-- deleted in this transaction still stand in every index, so what is judged again is read in long stretches, each once,
-- and never looked up row by row: all that a user keeps; of others the logins from the addresses of logins that are gone,
-- while these counted there.
with left_over as materialized (
    select
        e.occurred_at,
        e.event_id
    from raw.events as e
    where e.user_id = any(%(users)s::text[]) and e.type in ('login', 'logout')
),

going as (
    delete from analytics.login_audit as l
    where
        l.user_id = any(%(users)s::text[])
        and not exists (
            select 1 from left_over as o
            where o.occurred_at = l.occurred_at and o.event_id = l.event_id
        )
    returning l.*
)

insert into audit_changed (occurred_at, event_id, position, user_id, action, ip, address, device, flags, change)
select
    g.occurred_at,
    g.event_id,
    g.position,
    g.user_id,
    g.action,
    g.ip,
    g.address,
    g.device,
    g.flags,
    -1 as change
from going as g;

analyze audit_changed;

insert into audit_reach (kind, subject, low, high, late)
with counted as (
    select
        c.address,
        c.occurred_at,
        least(
            c.occurred_at + %(audit_window)s,
            lead(c.occurred_at) over (partition by c.user_id, c.address order by c.occurred_at, c.position)
        ) as until
    from audit_changed as c
    where c.action = 'login' and c.address is not null
),

reaches as (
    select
        c.address,
        unnest(range_agg(tstzrange(c.occurred_at, c.until, '[]'))) as reach
    from counted as c
    group by c.address
)

select
    'address' as kind,
    r.address,
    lower(r.reach) as low,
    upper(r.reach) as high,
    true as late
from reaches as r
union all
select distinct
    'user' as kind,
    e.user_id,
    '-infinity'::timestamptz as low,
    'infinity'::timestamptz as high,
    true as late
from raw.events as e
where e.user_id = any(%(users)s::text[]) and e.type in ('login', 'logout')
