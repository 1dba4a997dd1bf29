insert into ops.audit_log (actor, action, subject, details)
values (%(actor)s, 'erase', %(subject)s, %(details)s::jsonb)
