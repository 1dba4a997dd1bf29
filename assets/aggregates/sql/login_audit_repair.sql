update analytics.login_audit as l
set flags = j.flags
from audit_judged as j
where l.occurred_at = j.occurred_at and l.event_id = j.event_id
