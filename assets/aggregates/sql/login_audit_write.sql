-- Rows come with their flags; of others the flags change.
with inserted as (
    insert into analytics.login_audit (occurred_at, event_id, position, user_id, action, ip, device, flags)
    select
        c.occurred_at,
        c.event_id,
        c.position,
        c.user_id,
        c.action,
        c.ip,
        c.device,
        coalesce(j.flags, c.flags) as flags
    from audit_changed as c
    left join audit_judged as j on c.occurred_at = j.occurred_at and c.event_id = j.event_id
    where c.change > 0
    order by c.user_id, c.occurred_at
)

update analytics.login_audit as l
set flags = j.flags
from audit_judged as j
where l.occurred_at = j.occurred_at and l.event_id = j.event_id and not j.comes
