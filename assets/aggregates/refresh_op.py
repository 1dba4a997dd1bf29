"""The op of the job `refresh_aggregates`: merges new events into the tables, and shows each table as it is then.

What belongs here: its config and what it reports. What does not: the work (`writer`), the job (`orchestration.jobs`),
and when it is requested (`sensors.dirty_buckets`).
"""

import time
from collections.abc import Iterable
from datetime import UTC, date, datetime

import dagster as dg
import psycopg

from assets.aggregates import asset_metadata
from assets.aggregates.assets import APPLICATION
from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.partition_status import PartitionStatus
from assets.aggregates.specs import asset_key
from assets.aggregates.view_specs import view_keys
from assets.aggregates.writer import AggregateWriter, Refreshed
from monitoring.metrics.resource import Metrics
from resources.postgres import Postgres, describe, no_rows_in_errors

OP_NAME = "merge_new_events"
QUEUE = "aggregates"
# What waits on is the next run's: together with the tries of one more transaction this is less than a run may last.
_WITHIN = 120.0
_VIEW_SECONDS = 60.0
_A_VIEW = {"reads": "its tables as they are, at each query; told once a minute while they are refreshed"}


class RefreshConfig(dg.Config):
    """Whose marks to take in: days as 2026-01-31; none for all."""

    days: list[str] = []  # noqa: RUF012 - a dagster config class, not a plain one


@dg.op(name=OP_NAME)
def merge_new_events(
    context: dg.OpExecutionContext,
    config: RefreshConfig,
    aggregates: dg.ResourceParam[AggregateWriter],
    partitions: dg.ResourceParam[PartitionStatus],
    postgres: dg.ResourceParam[Postgres],
    metrics: dg.ResourceParam[Metrics],
) -> None:
    """Merge the events of all marks into the tables, then show how each table and each of its partitions is."""
    try:
        _merge_new_events(context, config, aggregates, partitions, postgres)
    finally:
        metrics.after_run(None, context.log)


def _merge_new_events(
    context: dg.OpExecutionContext,
    config: RefreshConfig,
    aggregates: AggregateWriter,
    partitions: PartitionStatus,
    postgres: Postgres,
) -> None:
    days = [date.fromisoformat(day) for day in config.days] or None
    with no_rows_in_errors():
        refreshed = aggregates.refresh(days, within=_WITHIN)
    if not refreshed.marks:
        context.log.info("no marks: every table is up to date")
        return
    for group, taken in refreshed.by_group.items():
        context.log.info(
            "%s: merged %d events of %d marks on %d hours, %d transactions",
            group,
            taken.events,
            taken.marks,
            len(taken.hours),
            taken.transactions,
        )
    context.log.info("every group of tables is up to date or out of time after %.2f s", refreshed.seconds)
    try:
        _show(context, partitions, postgres, refreshed)
    except psycopg.Error as error:  # what was taken in is committed; that it cannot be shown must not look otherwise
        context.log.warning("the metadata of the tables cannot be read: %s", describe(error))


def _show(
    context: dg.OpExecutionContext, partitions: PartitionStatus, postgres: Postgres, refreshed: Refreshed
) -> None:
    """Every table: an event reaches the hour's tables and, by its user, those of days and of all time.

    Partitions first: what is reported last is what the page of a table shows.
    """
    with postgres.connect(APPLICATION, statement_timeout_seconds=10) as connection:
        partitions.tell(context.instance, connection, datetime.now(UTC))
        shown = asset_metadata.current_metadata(connection, AGGREGATES)
    for name, metadata in shown.items():
        taken = refreshed.by_group[AGGREGATES[name].group]
        done = {"events_taken_in": taken.events, "hours": len(taken.hours), "seconds": round(refreshed.seconds, 3)}
        context.log_event(dg.AssetMaterialization(asset_key(name), metadata={**metadata, **done}))
    for key in _views_to_show(context.instance):
        context.log_event(dg.AssetMaterialization(key, metadata=_A_VIEW))


def _views_to_show(instance: dg.DagsterInstance) -> Iterable[dg.AssetKey]:
    """All of them, when the last time is a minute ago: a view is up to date as long as what it shows is."""
    keys = view_keys()
    last = instance.get_latest_materialization_event(keys[0])
    return keys if last is None or time.time() - last.timestamp >= _VIEW_SECONDS else ()
