-- Previews that earlier releases wrote: today's say that they are without texts, and only they.
select
    t.id,
    t.event
from dagster.event_logs as t
where
    t.id > %(after)s
    and t.dagster_event_type = 'ASSET_MATERIALIZATION'
    and t.asset_key is not null
    and t.event like %(old)s
    and t.event not like %(new)s
order by t.id
limit %(most)s
