-- In a rebuild the flags of every row of the range are judged again.
insert into audit_affected (occurred_at, event_id, user_id, action, ip, device, flags)
select
    l.occurred_at,
    l.event_id,
    l.user_id,
    l.action,
    l.ip,
    l.device,
    l.flags
from analytics.login_audit as l
where l.occurred_at >= %(low)s and l.occurred_at < %(high)s
