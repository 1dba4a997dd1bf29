insert into ops.audit_log (actor, action, subject, details)
values (%(actor)s, 'retention', %(frontier)s, %(details)s::jsonb)
