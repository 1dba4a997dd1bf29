-- What Dagster wrote down about why runs failed, in order. An event without the error of a launch tells nothing of it,
-- and one that is larger than any traceback is not worth the memory.
select
    e.run_id,
    e.event
from dagster.event_logs as e
where
    e.run_id = any(%(runs)s::text[])
    and length(e.event) <= %(longest)s
    and (
        e.dagster_event_type in ('PIPELINE_FAILURE', 'PIPELINE_CANCELING')
        or (e.dagster_event_type = 'ENGINE_EVENT' and e.event like '%%SerializableErrorInfo%%')
    )
order by e.run_id, e.id
