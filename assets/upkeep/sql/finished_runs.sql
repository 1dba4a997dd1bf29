-- The next finished runs in the order of their ids. Dagster's timestamps are UTC without a zone. `for update`: two
-- trims at once take different runs.
select
    r.id,
    r.run_id
from dagster.runs as r
where
    r.id > %(after)s
    and r.pipeline_name = any(%(jobs)s::text[])
    and (
        (r.status = 'SUCCESS' and r.update_timestamp < %(succeeded_before)s)
        or (r.status in ('FAILURE', 'CANCELED') and r.update_timestamp < %(failed_before)s)
    )
order by r.id
limit %(most)s
for update skip locked
