update ops.audit_log
set details = %(details)s::jsonb
where audit_id = %(audit_id)s
