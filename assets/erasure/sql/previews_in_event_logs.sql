-- Events with previews that earlier releases wrote: today's say that they are without texts, and only they. By the index of
-- assets, which leaves the events of runs alone: those are most.
select t.id
from dagster.event_logs as t
where
    t.asset_key = any(%(assets)s::text[])
    and t.dagster_event_type = 'ASSET_MATERIALIZATION'
    and t.event like %(old)s
    and t.event not like %(new)s
