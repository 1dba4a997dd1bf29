"""Copies of a real run in Dagster's tables: a long history in seconds, every row in the shape that it has.

What belongs here: writing them; the tests of the upkeep do so too. What does not: what is measured on them (`history`).
"""

import uuid
from datetime import timedelta

from resources.postgres import Postgres

_COPY_RUN = """
with r as (
    insert into dagster.runs (
        run_id, snapshot_id, pipeline_name, mode, status, run_body, partition, partition_set, create_timestamp,
        update_timestamp, start_time, end_time, backfill_id
    )
    select
        c.id, r.snapshot_id, r.pipeline_name, r.mode, r.status, replace(r.run_body, r.run_id, c.id), r.partition,
        r.partition_set, r.create_timestamp - c.back, r.update_timestamp - c.back,
        r.start_time - extract(epoch from c.back), r.end_time - extract(epoch from c.back), r.backfill_id
    from dagster.runs as r
    cross join unnest(%(ids)s::text[], %(backs)s::interval[]) as c (id, back)
    where r.run_id = %(run)s
),
t as (
    insert into dagster.run_tags (run_id, key, value)
    select c.id, t.key, t.value from dagster.run_tags as t cross join unnest(%(ids)s::text[]) as c (id)
    where t.run_id = %(run)s
),
ordered as materialized (
    select e.*, c.id as copy_id, c.back
    from dagster.event_logs as e
    cross join unnest(%(ids)s::text[], %(backs)s::interval[]) with ordinality as c (id, back, position)
    where e.run_id = %(run)s
    order by c.position, e.id
),
numbered as materialized (
    select nextval('dagster.event_logs_id_seq') as new_id, o.* from ordered as o
),
e as (
    insert into dagster.event_logs (
        id, run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition
    )
    select
        n.new_id, n.copy_id, replace(n.event, n.run_id, n.copy_id), n.dagster_event_type, n.timestamp - n.back,
        n.step_key, n.asset_key, n.partition
    from numbered as n
),
g as (
    insert into dagster.asset_event_tags (event_id, asset_key, key, value, event_timestamp)
    select n.new_id, t.asset_key, t.key, t.value, t.event_timestamp - n.back
    from numbered as n inner join dagster.asset_event_tags as t on t.event_id = n.id
)
insert into dagster.asset_check_executions (
    asset_key, check_name, partition, run_id, execution_status, evaluation_event, evaluation_event_timestamp,
    evaluation_event_storage_id, materialization_event_storage_id, create_timestamp
)
select
    k.asset_key, k.check_name, k.partition, c.id, k.execution_status, replace(k.evaluation_event, k.run_id, c.id),
    k.evaluation_event_timestamp - c.back, k.evaluation_event_storage_id, k.materialization_event_storage_id,
    k.create_timestamp - c.back
from dagster.asset_check_executions as k
cross join unnest(%(ids)s::text[], %(backs)s::interval[]) as c (id, back)
where k.run_id = %(run)s
"""


def copy_run(
    postgres: Postgres, run_id: str, times: int, back: timedelta, apart: timedelta = timedelta(0)
) -> list[str]:
    """Write copies of a run: with other ids, `back` in its past and `apart` from one another, the oldest first.

    Args:
        postgres: the database in whose schema `dagster` the run is.
        run_id: the run, which has ended.
        times: how many copies.
        back: the last copy is so much older than the run; less than nothing for a younger one.
        apart: each is so much older than the next.
    """
    ids = [str(uuid.uuid4()) for _ in range(times)]
    backs = [back + apart * (times - 1 - n) for n in range(times)]
    with postgres.connect("copied-runs") as connection:
        connection.execute(_COPY_RUN.encode(), {"ids": ids, "backs": backs, "run": run_id})
    return ids
