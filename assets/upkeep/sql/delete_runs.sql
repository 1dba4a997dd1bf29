-- Their tags go with them, by the foreign key. How many of which job ended how.
with gone as (
    delete from dagster.runs as r
    where r.run_id = any(%(runs)s::text[])
    returning r.pipeline_name, r.status
)

select
    g.pipeline_name as job,
    g.status,
    count(*) as runs
from gone as g
group by g.pipeline_name, g.status
