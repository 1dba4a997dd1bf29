-- All that erased users keep is judged again: it is what came while they were erased.
insert into audit_affected (occurred_at, event_id, user_id, action, ip, device, flags)
select
    o.occurred_at,
    o.event_id,
    o.user_id,
    o.action,
    o.ip,
    o.device,
    o.flags
from audit_own as o
