-- Previews that earlier releases wrote: today's say that they are without texts, and only they.
select
    t.id,
    t.last_materialization
from dagster.asset_keys as t
where
    t.id > %(after)s
    and t.last_materialization like %(old)s
    and t.last_materialization not like %(new)s
order by t.id
limit %(most)s
