update dagster.asset_keys as t
set last_materialization = n.text
from unnest(%(ids)s::bigint[], %(texts)s::text[]) as n (id, text)
where t.id = n.id
