-- Rows of an earlier release have another place in the order; their flags are judged again with the rest of the range.
update analytics.login_audit as l
set position = t.position
from audit_truth as t
where l.occurred_at = t.occurred_at and l.event_id = t.event_id and l.position <> t.position
