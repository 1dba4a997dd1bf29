-- All that erased users keep is judged again: it is what came while they were erased.
insert into audit_affected (occurred_at, event_id, position, user_id, action, address, device, flags)
select
    o.occurred_at,
    o.event_id,
    o.position,
    o.user_id,
    o.action,
    o.address,
    o.device,
    o.flags
from audit_own as o
