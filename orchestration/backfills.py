"""A backfill as Dagster runs: which jobs for which tables, one run each for the whole range, and following them.

What belongs here: from a range and tables to runs. What does not: how a run is started (`launch`), printing (`cli`).
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from dagster import DagsterInstance
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from rich.console import Console

from assets.aggregates.assets import DAILY, HOURLY, OVERALL, OVERALL_OP
from assets.aggregates.specs import asset_key
from assets.periods import TimeSpan, day_key, hour_key
from orchestration.dagster_runtime import instance as home
from orchestration.jobs import DAYS_JOB, HOURS_JOB, OVERALL_JOB
from orchestration.launch import LaunchError, first_partition, follow, launch, workspace
from orchestration.settings import variable


class BackfillError(Exception):
    """A backfill cannot be started; its text says why."""


class Part(NamedTuple):
    """What one run is to do."""

    job: str
    tables: tuple[str, ...]
    tags: dict[str, str]
    config: dict[str, Any]


class Run(NamedTuple):
    """A run that was started."""

    run_id: str
    job: str
    tables: tuple[str, ...]
    partitions: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {"run_id": self.run_id, "job": self.job, "tables": self.tables, "partitions": self.partitions}


def parts(span: TimeSpan, names: frozenset[str], since: datetime) -> Iterator[Part]:
    """One part for the hours, one for the days, one for the tables over all time; those that have a table.

    Args:
        span: what was asked for.
        names: of tables.
        since: where partitions begin; what lies before it is left out, since it holds no event.

    Raises:
        BackfillError: the whole range lies before.
    """
    last = span.high - timedelta(microseconds=1)
    if last < since and names & {*HOURLY, *DAILY}:
        raise BackfillError(
            f"Dagster's partitions begin at {since:%Y-%m-%d %H:%M} UTC: set {variable('history_start')} "
            "to an earlier day, or use --local"
        )
    low = max(span.low, since)
    for job, tables, key in ((HOURS_JOB, HOURLY, hour_key), (DAYS_JOB, DAILY, day_key)):
        if chosen := tuple(name for name in tables if name in names):
            yield Part(
                job,
                chosen,
                {ASSET_PARTITION_RANGE_START_TAG: key(low), ASSET_PARTITION_RANGE_END_TAG: key(last)},
                {},
            )
    if chosen := tuple(name for name in OVERALL if name in names):
        config = {"first_day": day_key(span.low), "last_day": day_key(last)}
        yield Part(OVERALL_JOB, chosen, {}, {"ops": {OVERALL_OP: {"config": config}}})


@contextmanager
def start(span: TimeSpan, names: frozenset[str]) -> Generator[list[Run]]:
    """Start the runs; Dagster's instance stays open for `watch` as long as the block lasts.

    Raises:
        BackfillError: the whole range lies before the first partition, or Dagster cannot be reached.
        SettingsError: this process was not told where Dagster is.
    """
    import os

    home.check_environment(os.environ, code_server=True)
    home.write_events_in_batches()
    with DagsterInstance.get() as instance:
        try:
            with workspace(instance) as context:
                since = first_partition(context, asset_key(HOURLY[0]))
                runs = [
                    Run(
                        launch(context, part.job, [asset_key(name) for name in part.tables], part.tags, part.config),
                        part.job,
                        part.tables,
                        tuple(part.tags.values()),
                    )
                    for part in parts(span, names, since)
                ]
        except LaunchError as error:
            raise BackfillError(str(error)) from error
        yield runs


def watch(runs: Sequence[Run], console: Console) -> dict[str, str]:
    """Show how far the runs are until all have ended; how each ended, by its id."""
    ended: dict[str, str] = {}
    with DagsterInstance.get() as instance, console.status("waiting for a worker") as status:
        for run in runs:
            for said in follow(instance, run.run_id):
                ended[run.run_id] = said.status.value
                if said.message:
                    status.update(f"{run.job}: {said.message}")
    return ended
