select
    t.id,
    t.event
from dagster.event_logs as t
where t.id = any(%(ids)s::bigint[])
