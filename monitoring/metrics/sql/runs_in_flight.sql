select
    r.pipeline_name,
    count(*) as runs
from dagster.runs as r
where r.status in ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')
group by r.pipeline_name
