"""The aggregates as Dagster assets: hourly tables, daily tables, and tables over all time, each group made by one op.

What belongs here: which tables go together, their partitions, and what a run reports. What does not: the work
(`writer`), what is shown of a table (`asset_metadata`), and when runs are requested (`sensors`).

A run rebuilds the hours or days of its partitions: one run for a whole range. New and late events need no such run; the
sensor `dirty_buckets` takes them in within seconds.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.aggregates import asset_metadata
from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.partition_status import PartitionStatus
from assets.aggregates.progress import RebuildProgress
from assets.aggregates.specs import asset_key, spec
from assets.aggregates.writer import AggregateWriter, Rebuilt
from assets.periods import TimeSpan, day_key, hour_key
from resources.postgres import Postgres, no_rows_in_errors

HOURLY = tuple(name for name, each in AGGREGATES.items() if each.grain == "hour")
DAILY = tuple(name for name, each in AGGREGATES.items() if each.grain in {"day", "session", "event"})
OVERALL = tuple(name for name, each in AGGREGATES.items() if each.grain in {"week", "user"})
OVERALL_OP = "rebuild_overall"
APPLICATION = "millrace-report"


class SpanConfig(dg.Config):
    """Which days a run recomputes; empty for all that there are."""

    first_day: str = ""
    last_day: str = ""


def aggregate_assets(history_start: datetime, owners: tuple[str, ...]) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """All tables; `events_minutely` is made by the ingest, in the transaction that stores the events."""
    return [
        spec("events_minutely", owners),
        _partitioned("rebuild_hours", HOURLY, hourly(history_start), owners),
        _partitioned("rebuild_days", DAILY, daily(history_start), owners),
        _overall(owners),
    ]


def hourly(start: datetime) -> dg.HourlyPartitionsDefinition:
    """One partition an hour, the current one included: it can be looked at and rebuilt while it lasts."""
    return dg.HourlyPartitionsDefinition(start_date=hour_key(start), timezone="UTC", end_offset=1)


def daily(start: datetime) -> dg.DailyPartitionsDefinition:
    """One partition a day, the current one included."""
    return dg.DailyPartitionsDefinition(start_date=day_key(start), timezone="UTC", end_offset=1)


def _partitioned(
    op: str,
    names: Collection[str],
    parts: dg.TimeWindowPartitionsDefinition,
    owners: tuple[str, ...],
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=op,
        specs=[spec(name, owners) for name in names],
        partitions_def=parts,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def _rebuild(
        context: dg.AssetExecutionContext,
        aggregates: dg.ResourceParam[AggregateWriter],
        partitions: dg.ResourceParam[PartitionStatus],
        postgres: dg.ResourceParam[Postgres],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        span = TimeSpan(*context.partition_time_window)
        chosen = [name for name in names if asset_key(name) in context.selected_asset_keys]
        rebuilt = _run(context, aggregates, span, chosen)
        # An hour without any event has no refresh that would tell of it; the schedule comes every hour. What is
        # reported last is what the page of a table shows.
        with postgres.connect(APPLICATION, statement_timeout_seconds=10) as connection:
            partitions.tell(context.instance, connection, datetime.now(UTC))
        yield from _report(context, postgres, span, rebuilt, chosen)

    return _rebuild


def _overall(owners: tuple[str, ...]) -> dg.AssetsDefinition:
    @dg.multi_asset(name=OVERALL_OP, specs=[spec(name, owners) for name in OVERALL], can_subset=True)
    def _rebuild(
        context: dg.AssetExecutionContext,
        config: SpanConfig,
        aggregates: dg.ResourceParam[AggregateWriter],
        postgres: dg.ResourceParam[Postgres],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        chosen = [name for name in OVERALL if asset_key(name) in context.selected_asset_keys]
        with postgres.connect(APPLICATION) as connection:
            span = asset_metadata.whole_span(connection, config.first_day, config.last_day)
        rebuilt = _run(context, aggregates, span, chosen)
        with postgres.connect(APPLICATION) as connection:
            shown = asset_metadata.current_metadata(connection, chosen)
        for name in chosen:
            yield dg.MaterializeResult(
                asset_key=asset_key(name), metadata={**_outcome(rebuilt, name, span), **shown[name]}
            )

    return _rebuild


def _run(
    context: dg.AssetExecutionContext, aggregates: AggregateWriter, span: TimeSpan, names: Collection[str]
) -> Rebuilt:
    context.log.info("rebuilding %s from %s to %s (UTC)", ", ".join(names), *span)
    with no_rows_in_errors():
        rebuilt = aggregates.rebuild(*span, tables=names, progress=RebuildProgress(context.log.info))
    drift = {name: rows for name, rows in rebuilt.drift.items() if rows}
    if drift:
        context.log.warning("rows that were not as they should have been, and are now: %s", drift)
    context.log.info("rebuilt %d buckets in %.1f s", rebuilt.buckets, rebuilt.seconds)
    return rebuilt


def _report(
    context: dg.AssetExecutionContext, postgres: Postgres, span: TimeSpan, rebuilt: Rebuilt, names: Collection[str]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Every partition gets its own number of rows; the last one all the rest, which would be the same for each."""
    last = context.partition_key_range.end
    with postgres.connect(APPLICATION) as connection:
        shown = asset_metadata.current_metadata(connection, names)
        counted = {name: asset_metadata.rows_by_partition(connection, name, span) for name in names}
    for name in names:
        key = asset_key(name)
        for partition in context.partition_keys:
            rows = {"dagster/row_count": counted[name].get(partition, 0)}
            more = _last(shown[name]) if partition == last else {}
            context.add_asset_metadata({**rows, **more}, asset_key=key, partition_key=partition)
        yield dg.MaterializeResult(asset_key=key, metadata=_outcome(rebuilt, name, span))


def _last(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {"rows_in_table" if name == "dagster/row_count" else name: value for name, value in shown.items()}


def _outcome(rebuilt: Rebuilt, name: str, span: TimeSpan) -> dict[str, Any]:
    return {
        "drift": rebuilt.drift.get(name, 0),
        "seconds": round(rebuilt.seconds, 3),
        "rebuilt": str(span),
    }
