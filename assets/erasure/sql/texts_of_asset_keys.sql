select
    t.id,
    t.last_materialization
from dagster.asset_keys as t
where t.id = any(%(ids)s::bigint[])
