-- Those of the given runs that the UI still stands on: one query a reason.
-- Runs of a backfill are its status.
select r.run_id
from dagster.runs as r
where r.run_id = any(%(runs)s::text[]) and r.backfill_id is not null
union
select t.run_id
from dagster.run_tags as t
where t.run_id = any(%(runs)s::text[]) and t.key = 'dagster/backfill'
union
-- A re-execution shows the run that it repeats.
select t.value
from dagster.run_tags as t
where t.key in ('dagster/root_run_id', 'dagster/parent_run_id') and t.value = any(%(runs)s::text[])
union
-- The newest event of its kind of an asset is the asset's status,
select e.run_id
from dagster.event_logs as e
where
    e.run_id = any(%(runs)s::text[])
    and e.asset_key is not null
    and e.partition is null
    and e.dagster_event_type in (
        'ASSET_MATERIALIZATION', 'ASSET_MATERIALIZATION_PLANNED', 'ASSET_FAILED_TO_MATERIALIZE', 'ASSET_OBSERVATION'
    )
    and not exists (
        select 1
        from dagster.event_logs as n
        where
            n.asset_key = e.asset_key
            and n.dagster_event_type = e.dagster_event_type
            and n.partition is null
            and n.id > e.id
    )
union
-- and that of a partition the partition's.
select e.run_id
from dagster.event_logs as e
where
    e.run_id = any(%(runs)s::text[])
    and e.asset_key is not null
    and e.partition is not null
    and e.dagster_event_type in (
        'ASSET_MATERIALIZATION', 'ASSET_MATERIALIZATION_PLANNED', 'ASSET_FAILED_TO_MATERIALIZE', 'ASSET_OBSERVATION'
    )
    and not exists (
        select 1
        from dagster.event_logs as n
        where
            n.asset_key = e.asset_key
            and n.dagster_event_type = e.dagster_event_type
            and n.partition = e.partition
            and n.id > e.id
    )
