"""Plans the ingest: compares what Kafka holds with what is committed and requests a run for each lane with work.

What belongs here: which lanes are at work, and the thin shell around `assets.ingest.plan`. What does not: consuming.
The sensor advances nothing and keeps nothing in its cursor; a tick that is lost is made up for by the next one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import dagster as dg

from millrace.assets.ingest import books
from millrace.assets.ingest.asset import LANE_TAG, QUEUE, config_of
from millrace.assets.ingest.plan import BatchPlan, Limits, Place, plan
from millrace.resources import generations
from millrace.resources.kafka import Available, Kafka
from millrace.resources.postgres import Connection, Postgres
from millrace.resources.warm import Warm

NAME = "kafka_offsets"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_MOST_RUNS = 1_000


class LaneRun(NamedTuple):
    """An unfinished ingest run."""

    run_id: str
    lane: int
    created_at: datetime


def in_flight(runs: Iterable[LaneRun], progressed: set[str], now: datetime, patience: timedelta) -> set[int]:
    """The lanes that have a run at work.

    A run that is older than `patience` and committed nothing for as long is not believed: a killed worker leaves
    STARTED behind, a flushed broker STARTING. A second run beside a live one is harmless, the fence sees to that.
    """
    return {r.lane for r in runs if now - r.created_at <= patience or r.run_id in progressed}


@dataclass
class KafkaOffsets:
    """The outside world as the sensor sees it; clients are warm from tick to tick."""

    kafka: Kafka
    postgres: Postgres
    topics: tuple[str, ...]
    limits: Limits
    patience: timedelta
    job_name: str = "ingest"
    _warm: Warm | None = field(default=None, repr=False)

    def evaluate(self, instance: dg.DagsterInstance) -> tuple[list[BatchPlan], list[str]]:
        """The plans of this tick, and the topics that do not exist.

        Raises:
            KafkaUnavailable: no broker answered.
            psycopg.Error: PostgreSQL cannot be asked.
        """
        available = self.kafka.available(self.topics)
        missing = sorted(set(self.topics) - {a.topic for a in available})
        committed = self._asked().read(books.committed)
        if not _work(available, committed):
            return [], missing
        busy = self._busy(instance)
        return plan(committed, available, busy, self.limits), missing

    def _busy(self, instance: dg.DagsterInstance) -> set[int]:
        records = instance.get_run_records(dg.RunsFilter(job_name=self.job_name, statuses=UNFINISHED), limit=_MOST_RUNS)
        runs = [
            LaneRun(r.dagster_run.run_id, int(r.dagster_run.tags[LANE_TAG]), r.create_timestamp)
            for r in records
            # A re-execution keeps its parent's tags; it is a replay and no reason to wait.
            if LANE_TAG in r.dagster_run.tags and r.dagster_run.parent_run_id is None
        ]
        names = [r.run_id for r in runs]
        progressed = self._asked().read(lambda c: books.last_progress(c, names, self.patience)) if runs else set[str]()
        return in_flight(runs, progressed, self._asked().read(database_now), self.patience)

    def _asked(self) -> Warm:
        if self._warm is None:
            self._warm = Warm(self.postgres, "millrace-sensor", statement_timeout_seconds=10)
        return self._warm


def _work(available: Iterable[Available], committed: dict[Place, int]) -> bool:
    """Whether anything moved at all; asking Dagster for its runs costs more than this."""
    now = generations.current(available, committed)
    return any(committed.get(Place(a.topic_id, a.partition), a.low) != a.high for a in now)


def kafka_offsets_sensor(world: KafkaOffsets, interval: timedelta, max_runtime: timedelta) -> dg.SensorDefinition:
    """The sensor definition."""

    @dg.sensor(
        name=NAME,
        job_name=world.job_name,
        minimum_interval_seconds=max(1, round(interval.total_seconds())),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Plans the ingest: one run for each lane that has something to read and no run at work.",
    )
    def _sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        plans, missing = world.evaluate(context.instance)
        if missing:
            context.log.warning("missing Kafka topics: %s", ", ".join(missing))
        if plans and (why := why_no_run_can_be_sent(context.instance, QUEUE)):
            yield dg.SkipReason(f"Celery's broker takes no runs: {why}; {len(plans)} runs wait for it")
            return
        for each in plans:
            # No run key: a failed run with a run key would block its range for ever.
            yield dg.RunRequest(
                run_config=config_of(each),
                tags={
                    LANE_TAG: str(each.lane),
                    "millrace/offsets": str(each.size),
                    "dagster-celery/queue": QUEUE,
                    "dagster/max_runtime": str(round(max_runtime.total_seconds())),
                },
            )
        if not plans:
            yield dg.SkipReason(_why_nothing(missing))

    return _sensor


def database_now(connection: Connection) -> datetime:
    """PostgreSQL's time, in which a run's creation is told: by a clock that differs a run at work would look lost."""
    row = connection.execute("select clock_timestamp()").fetchone()
    found: datetime = row[0] if row else datetime.now(UTC)
    return found


def why_no_run_can_be_sent(instance: dg.DagsterInstance, queue: str) -> str | None:
    """Why the broker takes no runs now: every tick would leave a failed one behind. Other launchers have no broker."""
    refused = getattr(instance.run_launcher, "refused", None)
    return refused(queue) if refused else None


def _why_nothing(missing: list[str]) -> str:
    if missing:
        return (
            f"Kafka has no topic {', '.join(missing)}: create it, correct MILLRACE_KAFKA_TOPICS, "
            "or set MILLRACE_KAFKA_CREATE_TOPICS=true"
        )
    return "everything is committed, or a run is at work on it"
