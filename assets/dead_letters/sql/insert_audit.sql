insert into ops.audit_log (actor, action, subject, details)
values (%(actor)s, %(action)s, %(subject)s, %(details)s::jsonb)
