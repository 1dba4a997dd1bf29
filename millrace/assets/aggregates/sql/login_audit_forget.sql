-- The rows of one user go.
with gone as (
    delete from analytics.login_audit as l
    where l.user_id = %(user_id)s
    returning l.occurred_at, l.event_id, l.user_id, l.action, l.ip, l.device
)

insert into audit_changed (occurred_at, event_id, user_id, action, ip, device)
select
    g.occurred_at,
    g.event_id,
    g.user_id,
    g.action,
    g.ip,
    g.device
from gone as g
