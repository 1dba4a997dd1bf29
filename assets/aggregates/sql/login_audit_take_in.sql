-- The logins and logouts that arrived and have no row yet.
insert into audit_changed (occurred_at, event_id, position, user_id, action, ip, address, device, flags, change)
select
    a.occurred_at,
    a.event_id,
    a.position,
    a.user_id,
    a.type,
    a.payload ->> 'ip' as ip,
    ops.canonical_address(a.payload ->> 'ip') as address,
    case when a.type = 'login' then nullif(a.payload ->> 'device', '') end as device,
    '{}' as flags,
    1 as change
from arrived as a
where
    a.type in ('login', 'logout')
    and (
        select l.event_id from analytics.login_audit as l
        where l.occurred_at = a.occurred_at and l.event_id = a.event_id
    ) is null
