-- What was counted of failed runs that are gone. A run that is still there would be counted again.
delete from ops.failed_runs as f
where f.run_id in (
    select o.run_id
    from ops.failed_runs as o
    where
        o.failed_at < %(before)s
        and not exists (
            select 1
            from dagster.runs as r
            where r.run_id = o.run_id
        )
    order by o.failed_at
    limit %(most)s
)
