"""Has the days rebuilt that aggregates lack: after an upgrade that made a table, or when a definition changed.

What belongs here: the decision, and the thin shell around it. What does not: which days are rebuilt first
(`assets.aggregates.history`). A tick changes nothing and remembers nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import NamedTuple

import dagster as dg
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from assets.aggregates import history
from assets.aggregates.funnel import Funnel
from resources.postgres import Connection, Postgres, WarmConnection
from sensors.kafka_offsets import UNFINISHED, database_now, kept_connection, why_no_run_can_be_sent

NAME = "aggregate_history"
_MAX_RUNTIME = timedelta(hours=2)
_AFTER_A_FAILURE = timedelta(minutes=10)


class LastRun(NamedTuple):
    """The last run of the job: whether it is over, whether it failed, and how long ago it began."""

    unfinished: bool
    failed: bool
    age: timedelta


def why_not(lacking: str, last: LastRun | None) -> str | None:
    """Why no run is requested; None: one is.

    Args:
        lacking: what tables lack, in words; empty where they lack nothing.
        last: the last run, if there was any. One that is older than a run may be is not believed any more: a second
            run is harmless, it waits for the lock.
    """
    if not lacking:
        return "every table is whole"
    if last is not None and last.unfinished and last.age <= _MAX_RUNTIME:
        return f"{lacking}; a run is at work on them"
    if last is not None and last.failed and last.age <= _AFTER_A_FAILURE:
        return f"{lacking}; the last run failed, the next is requested {_AFTER_A_FAILURE} after it began"
    return None


@dataclass
class AggregateHistory:
    """The inputs of the sensor; the connection is kept from tick to tick."""

    postgres: Postgres
    funnel: Funnel
    job_name: str

    def lacking(self) -> str:
        """What tables lack, in words; a definition that is to be followed counts.

        Raises:
            psycopg.Error: PostgreSQL cannot be asked.
        """

        def ask(connection: Connection) -> str:
            text = history.describe(history.read(connection))
            return text or ("definitions changed" if history.is_due(connection, self.funnel) else "")

        return self._database.read(ask)

    def last_run(self, instance: dg.DagsterInstance) -> LastRun | None:
        """The last run of the job."""
        for record in instance.get_run_records(dg.RunsFilter(job_name=self.job_name), limit=1):
            age = self._database.read(database_now) - record.create_timestamp
            status = record.dagster_run.status
            return LastRun(status in UNFINISHED, status == dg.DagsterRunStatus.FAILURE, age)
        return None

    @cached_property
    def _database(self) -> WarmConnection:
        return kept_connection(self.postgres)


def aggregate_history_sensor(inputs: AggregateHistory, interval: timedelta, queue: str) -> dg.SensorDefinition:
    """The sensor definition; its runs are in the default queue, where they delay neither ingest nor refresh."""

    @dg.sensor(
        name=NAME,
        job_name=inputs.job_name,
        minimum_interval_seconds=max(1, round(interval.total_seconds())),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Has the days rebuilt that aggregates lack, in the background: one run at a time.",
    )
    def _sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        lacking = inputs.lacking()
        if why := why_not(lacking, inputs.last_run(context.instance) if lacking else None):
            yield dg.SkipReason(why)
        elif why := why_no_run_can_be_sent(context.instance, queue):
            yield dg.SkipReason(f"Celery's broker takes no runs: {why}; {lacking}")
        else:
            yield dg.RunRequest(tags={MAX_RUNTIME_SECONDS_TAG: str(round(_MAX_RUNTIME.total_seconds()))})

    return _sensor
