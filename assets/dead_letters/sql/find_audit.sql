select
    l.audit_id,
    l.details
from ops.audit_log as l
where l.at > now() - interval '7 days' and l.action = %(action)s and l.details ->> 'run' = %(run)s
for update of l
