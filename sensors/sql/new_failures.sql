-- Failed runs that are not counted yet, the oldest first. Dagster's timestamps are UTC without a zone.
select
    r.run_id,
    r.pipeline_name as job,
    coalesce(to_timestamp(r.end_time), r.update_timestamp at time zone 'UTC') as failed_at
from dagster.runs as r
where
    r.status = 'FAILURE'
    and r.update_timestamp >= %(since)s::timestamptz at time zone 'UTC'
    and not exists (
        select 1
        from ops.failed_runs as f
        where f.run_id = r.run_id
    )
order by r.update_timestamp, r.id
limit %(most)s
