-- Assets whose last event, which stands beside them, has a preview that an earlier release wrote.
select t.id
from dagster.asset_keys as t
where
    t.asset_key = any(%(assets)s::text[])
    and t.last_materialization like %(old)s
    and t.last_materialization not like %(new)s
