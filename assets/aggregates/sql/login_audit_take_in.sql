-- A row for each login and logout that arrived; its flags come later.
with inserted as (
    insert into analytics.login_audit as l (occurred_at, event_id, position, user_id, action, ip, device, flags)
    select
        a.occurred_at,
        a.event_id,
        a.position,
        a.user_id,
        a.type,
        a.payload ->> 'ip' as ip,
        case when a.type = 'login' then nullif(a.payload ->> 'device', '') end as device,
        '{}' as flags
    from arrived as a
    where a.type in ('login', 'logout')
    order by a.occurred_at, a.event_id
    on conflict (occurred_at, event_id) do nothing
    returning l.occurred_at, l.event_id, l.position, l.user_id, l.action, l.ip, l.address, l.device
)

insert into audit_changed (occurred_at, event_id, position, user_id, action, ip, address, device, flags, change)
select
    i.occurred_at,
    i.event_id,
    i.position,
    i.user_id,
    i.action,
    i.ip,
    i.address,
    i.device,
    '{}' as flags,
    1 as change
from inserted as i
