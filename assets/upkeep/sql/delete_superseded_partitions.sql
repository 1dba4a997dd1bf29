-- Materializations of partitions that a refresh told of, once a newer one of the same partition is there.
delete from dagster.event_logs as e
where e.id in (
    select o.id
    from dagster.event_logs as o
    where
        o.run_id = ''
        and o.dagster_event_type = 'ASSET_MATERIALIZATION'
        and o.partition is not null
        and exists (
            select 1
            from dagster.event_logs as n
            where
                n.asset_key = o.asset_key
                and n.dagster_event_type = o.dagster_event_type
                and n.partition = o.partition
                and n.id > o.id
        )
    order by o.id
    limit %(most)s
)
