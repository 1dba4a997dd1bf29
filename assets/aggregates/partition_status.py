"""Which partitions Dagster has of the hourly and daily tables, and telling it which of them hold what they should.

What belongs here: the first partition, and a materialization for each partition that is whole and has none, by which
Dagster's bar and percentage say what the tables are, also right after a live refresh. What does not: keys and spans
(`periods`), and which days a table lacks (`history`).

A partition is told once. It belongs to no run, so it keeps no run from being trimmed; a rebuild of the partition tells
it again, with figures, and takes its place.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID

from assets.aggregates import history
from assets.aggregates.specs import asset_key
from assets.aggregates.sql import statement
from assets.periods import DAY, HOUR, day_key, floor_day, floor_hour, hour_key
from resources.postgres import Connection

MOST = 1_000
"""Materializations that one refresh writes; the next one goes on. Two years of hours are 105,000, once."""
_PAUSE = timedelta(days=92)
_YEARS = 2
_MARK = "kept_by"
_SAID = {_MARK: "refresh_aggregates: it holds every event that was stored for it"}


class _State(NamedTuple):
    """What decides which partitions there should be; while it is the same there is nothing to tell."""

    first: datetime
    hour: datetime
    lacking: Mapping[str, Collection[tuple[date, date]]]


@dataclass
class PartitionStatus:
    """What this process knows of the partitions that Dagster was told of.

    `configured` is the first day by the settings; None for that of the first event. The tables are those of one hour,
    or of one day, a partition.
    """

    configured: date | None
    hourly: tuple[str, ...]
    daily: tuple[str, ...]
    _told: _State | None = field(default=None, repr=False)

    def first_hour(self, connection: Connection, now: datetime) -> datetime | None:
        """The hour that partitions begin with; None before the first event.

        Raises:
            psycopg.Error: PostgreSQL cannot be asked.
        """
        if self.configured is not None:
            return datetime.combine(self.configured, clock(), UTC)
        return first_event_hour(connection, now)

    def tell(self, instance: dg.DagsterInstance, connection: Connection, now: datetime, most: int = MOST) -> int:
        """Report the partitions that are whole and that Dagster calls missing, the newest first; how many.

        Raises:
            psycopg.Error: PostgreSQL cannot be asked.
        """
        first = self.first_hour(connection, now)
        if first is None:
            return 0
        state = _State(first, floor_hour(now), history.missing(history.read(connection)))
        if state == self._told:
            return 0
        left = most
        for name in (*self.hourly, *self.daily):
            keys = list(self._untold(instance, name, state))[:left]
            _report(instance, asset_key(name), keys)
            left -= len(keys)
        self._told = state if left else None  # with nothing left over there may be more
        return most - left

    def _untold(self, instance: dg.DagsterInstance, name: str, state: _State) -> Iterator[str]:
        known = instance.get_materialized_partitions(asset_key(name))
        by_hour = name in self.hourly
        lacking = state.lacking.get(name, ())
        for moment in _backwards(state, HOUR if by_hour else DAY):
            key = hour_key(moment) if by_hour else day_key(moment)
            if key not in known and not any(low <= moment.date() <= high for low, high in lacking):
                yield key


def first_event_hour(connection: Connection, now: datetime) -> datetime | None:
    """The hour of the first event, not behind a pause of three months, and at most two years and a month back."""
    values = {"pause": _PAUSE, "earliest": earliest(now)}
    [[found]] = connection.execute(statement("first_hour"), values).fetchall()
    return found and found.astimezone(UTC)


def earliest(now: datetime) -> datetime:
    """Before it there are no partitions, unless the settings say so. It moves once a month."""
    return datetime(now.year - _YEARS, now.month, 1, tzinfo=UTC)


def was_rebuilt(record: dg.EventLogRecord) -> bool:
    """Whether a materialization of a partition is that of a rebuild, and not what a refresh told."""
    made = record.asset_materialization
    return made is not None and _MARK not in made.metadata


def _backwards(state: _State, step: timedelta) -> Iterator[datetime]:
    by_hour = step == HOUR
    moment, last = (state.hour, state.first) if by_hour else (floor_day(state.hour), floor_day(state.first))
    while moment >= last:
        yield moment
        moment -= step


def _report(instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: Collection[str]) -> None:
    """All in one statement, where the storage can; the oldest first, as they would have come."""
    entries = [_entry(dg.AssetMaterialization(asset, partition=key, metadata=_SAID)) for key in sorted(partitions)]
    if entries:
        instance.event_log_storage.store_event_batch(entries)


def _entry(materialization: dg.AssetMaterialization) -> Any:
    """As `report_runless_asset_event` would write it, one by one."""
    return dg.EventLogEntry(
        error_info=None,
        level="INFO",
        user_message="",
        run_id=RUNLESS_RUN_ID,
        timestamp=time.time(),
        job_name=RUNLESS_JOB_NAME,
        dagster_event=DagsterEvent(
            event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name=RUNLESS_JOB_NAME,
            event_specific_data=StepMaterializationData(materialization=materialization, asset_lineage=[]),
        ),
    )
