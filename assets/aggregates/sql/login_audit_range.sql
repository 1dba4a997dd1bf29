-- In a rebuild the flags of every row of the range are judged again.
insert into audit_affected (occurred_at, event_id, position, user_id, action, address, device, flags)
select
    l.occurred_at,
    l.event_id,
    l.position,
    l.user_id,
    l.action,
    l.address,
    l.device,
    l.flags
from analytics.login_audit as l
where l.occurred_at >= %(low)s and l.occurred_at < %(high)s
