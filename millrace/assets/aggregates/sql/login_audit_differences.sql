-- Rows of the range that are not what raw.events says: as they are, and as they should be.
with paired as (
    select
        l as have,
        t as want
    from (
        select * from analytics.login_audit
        where occurred_at >= %(low)s and occurred_at < %(high)s
    ) as l
    full outer join audit_truth as t on l.occurred_at = t.occurred_at and l.event_id = t.event_id
    where (l.user_id, l.action, l.ip, l.device) is distinct from (t.user_id, t.action, t.ip, t.device)
)

insert into audit_changed (occurred_at, event_id, user_id, action, ip, device)
select
    (p.have).occurred_at as occurred_at,
    (p.have).event_id as event_id,
    (p.have).user_id as user_id,
    (p.have).action as action,
    (p.have).ip as ip,
    (p.have).device as device
from paired as p
where (p.have).event_id is not null
union all
select
    (p.want).occurred_at as occurred_at,
    (p.want).event_id as event_id,
    (p.want).user_id as user_id,
    (p.want).action as action,
    (p.want).ip as ip,
    (p.want).device as device
from paired as p
where (p.want).event_id is not null
