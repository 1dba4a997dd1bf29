update dagster.event_logs as t
set event = n.text
from unnest(%(ids)s::bigint[], %(texts)s::text[]) as n (id, text)
where t.id = n.id
