-- Logins of others from the addresses of logins that are gone, while these counted there: to be judged again. A stretch
-- of an address is read once, however many of its rows are gone.
insert into audit_affected (occurred_at, event_id, position, user_id, action, address, device, flags)
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

select l.*
from reaches as r
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
        where
            n.address = r.address and n.action = 'login'
            and n.occurred_at >= lower(r.reach) and n.occurred_at <= upper(r.reach)
        order by n.occurred_at, n.position offset 0
    ) as l
where
    not exists (
        select 1 from audit_own as o
        where o.occurred_at = l.occurred_at and o.event_id = l.event_id
    )
on conflict (occurred_at, event_id) do nothing
