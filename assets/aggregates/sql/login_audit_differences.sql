-- Rows of the range that are not what raw.events says: as they are, and as they should be.
with truth as (
    select
        u.*,
        count(*) over (partition by u.user_id, u.occurred_at) > 1 as tied
    from audit_truth as u
),

paired as (
    select
        l as have,
        t as want
    from (
        select * from analytics.login_audit
        where occurred_at >= %(low)s and occurred_at < %(high)s
    ) as l
    full outer join truth as t on l.occurred_at = t.occurred_at and l.event_id = t.event_id
    where
        (l.user_id, l.action, l.ip, l.device) is distinct from (t.user_id, t.action, t.ip, t.device)
        -- Later rows can depend on which of a user's rows of one time was the last.
        or t.tied and l.position <> t.position
)

insert into audit_changed (occurred_at, event_id, position, user_id, action, ip, address, device, flags, change)
select
    (p.have).occurred_at as occurred_at,
    (p.have).event_id as event_id,
    (p.have).position as position,
    (p.have).user_id as user_id,
    (p.have).action as action,
    (p.have).ip as ip,
    (p.have).address as address,
    (p.have).device as device,
    (p.have).flags as flags,
    -1 as change
from paired as p
where (p.have).event_id is not null
union all
select
    (p.want).occurred_at as occurred_at,
    (p.want).event_id as event_id,
    (p.want).position as position,
    (p.want).user_id as user_id,
    (p.want).action as action,
    (p.want).ip as ip,
    (p.want).address as address,
    (p.want).device as device,
    '{}' as flags,
    1 as change
from paired as p
where (p.want).event_id is not null
