-- Checks that were reported without a run, as after a rebuild: all but the newest of each check, with their events.
with old as (
    select
        c.id,
        c.evaluation_event_storage_id
    from dagster.asset_check_executions as c
    where
        c.run_id = ''
        and c.create_timestamp < %(before)s
        and exists (
            select 1 from dagster.asset_check_executions as n
            where
                n.asset_key = c.asset_key
                and n.check_name = c.check_name
                and n.partition is not distinct from c.partition
                and n.id > c.id
        )
    order by c.id
    limit %(most)s
),

events as (
    delete from dagster.event_logs as e
    using old as o
    where o.evaluation_event_storage_id = e.id and e.run_id = ''
)

delete from dagster.asset_check_executions as c
using old as o
where o.id = c.id
