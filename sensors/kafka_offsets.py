"""Plans the ingest: compares what Kafka holds with what is committed and requests a run for each lane with work.

What belongs here: which lanes are at work, and the thin shell around `assets.ingest.plan`. What does not: consuming.
The sensor advances nothing and keeps nothing in its cursor; a tick that is lost is made up for by the next one.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple, TypeVar

import dagster as dg
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG

from assets.ingest import ledger_queries, unconfigured_topics, unreadable, withheld
from assets.ingest.asset import LANE_TAG, QUEUE, config_of
from assets.ingest.plan import BatchPlan, PlanLimits, TopicIdPartition, plan, without
from assets.ingest.unconfigured_topics import LeftOut
from assets.ingest.withheld import Withheld
from resources.kafka import Available, Kafka, current_logs
from resources.postgres import Connection, Postgres, WarmConnection

NAME = "kafka_offsets"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_MOST_RUNS = 1_000
T = TypeVar("T")


@dataclass(frozen=True)
class Looks:
    """How often a tick looks: every `interval`, for as long as it is held open (docs/adr/0032-a-tick-looks-again.md).

    A tick costs the daemon, the code server and PostgreSQL many times what a look costs.
    """

    interval: timedelta
    held: timedelta = timedelta(0)
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    @property
    def seconds(self) -> int:
        """Between the beginnings of two ticks at least; Dagster reads 0 as its default of 30."""
        return max(1, round(self.interval.total_seconds()))

    def until(self, ready: Callable[[T], object], look: Callable[[], T]) -> T:
        """What the first look saw that is ready, else what the last one saw."""
        ends = self.clock() + self.held.total_seconds()
        while not ready(seen := look()) and self.clock() + self.seconds <= ends:
            self.wait(self.seconds)
        return seen


class LaneRun(NamedTuple):
    """An unfinished ingest run."""

    run_id: str
    lane: int
    created_at: datetime


class Evaluated(NamedTuple):
    """What a tick found: plans, topics that do not exist, and what Kafka withholds."""

    plans: list[BatchPlan]
    missing: list[str]
    withheld: Sequence[Withheld]


def in_flight(runs: Iterable[LaneRun], progressed: set[str], now: datetime, timeout: timedelta) -> set[int]:
    """The lanes that have a run at work.

    A run that is older than `timeout` and committed nothing for as long is not believed: a killed worker leaves
    STARTED behind, a flushed broker STARTING. A second run beside a live one is harmless, the fence sees to that.
    """
    return {r.lane for r in runs if now - r.created_at <= timeout or r.run_id in progressed}


@dataclass
class KafkaOffsets:
    """The inputs of the sensor; clients are kept from tick to tick."""

    kafka: Kafka
    postgres: Postgres
    topics: tuple[str, ...]
    limits: PlanLimits
    timeout: timedelta
    job_name: str
    _left_out: LeftOut | None = field(default=None, repr=False)

    def evaluate(self, instance: Callable[[], dg.DagsterInstance]) -> Evaluated:
        """The plans as of now, and what stands in the way of others.

        Dagster makes an instance when it is asked for, at a cost above that of all the rest: only where there is work.

        Raises:
            KafkaUnavailable: no broker answered.
            psycopg.Error: PostgreSQL cannot be asked.
        """
        troubles: dict[str, str] = {}
        available = self.kafka.available(self.topics, troubles)
        refused = {name.partition("/")[0] for name in troubles}
        missing = sorted(set(self.topics) - {a.topic for a in available} - refused)
        committed = self._database.read(ledger_queries.committed_offsets)
        now = current_logs(available, committed)
        offsets = self._database.read(ledger_queries.next_offsets) if troubles else {}
        if not _work(now, committed):
            return Evaluated([], missing, withheld.together([], troubles, offsets, now))
        found = self._database.read(unreadable.current)
        told = withheld.together(found, troubles, offsets, now)
        aside = {each.partition.topic_partition for each in found if each.recent}
        available = without(available, aside, committed)
        if not _work(current_logs(available, committed), committed):
            return Evaluated([], missing, told)
        return Evaluated(plan(committed, available, self._busy(instance()), self.limits), missing, told)

    def left_out(self) -> Mapping[str, int]:
        """Unread records of topics that were ingested and are not among the settings any more, where Kafka tells."""
        self._left_out = self._left_out or LeftOut(self.kafka, self.topics)
        return self._left_out.unread(self._database.read(self._left_out.known))

    def _busy(self, instance: dg.DagsterInstance) -> set[int]:
        records = instance.get_run_records(dg.RunsFilter(job_name=self.job_name, statuses=UNFINISHED), limit=_MOST_RUNS)
        runs = [
            LaneRun(r.dagster_run.run_id, int(r.dagster_run.tags[LANE_TAG]), r.create_timestamp)
            for r in records
            # A re-execution keeps its parent's tags; it is a replay and no reason to wait.
            if LANE_TAG in r.dagster_run.tags and r.dagster_run.parent_run_id is None
        ]
        names = [r.run_id for r in runs]
        progressed = (
            self._database.read(lambda c: ledger_queries.last_progress(c, names, self.timeout)) if runs else set[str]()
        )
        return in_flight(runs, progressed, self._database.read(database_now), self.timeout)

    @cached_property
    def _database(self) -> WarmConnection:
        return kept_connection(self.postgres)


def _work(available: Iterable[Available], committed: dict[TopicIdPartition, int]) -> bool:
    """Whether anything moved at all; asking Dagster for its runs costs more than this."""
    return any(committed.get(TopicIdPartition(a.topic_id, a.partition), a.low) != a.high for a in available)


def kafka_offsets_sensor(inputs: KafkaOffsets, looks: Looks, max_runtime: timedelta) -> dg.SensorDefinition:
    """The sensor definition."""

    @dg.sensor(
        name=NAME,
        job_name=inputs.job_name,
        minimum_interval_seconds=looks.seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Plans the ingest: one run for each lane that has something to read and no run at work.",
    )
    def _sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        plans, missing, stuck = looks.until(lambda seen: seen.plans, lambda: inputs.evaluate(lambda: context.instance))
        if missing:
            context.log.warning("missing Kafka topics: %s", ", ".join(missing))
        if stuck:
            context.log.warning("Kafka does not hand out %s", _listed(stuck))
        if forgotten := inputs.left_out():
            context.log.warning(unconfigured_topics.describe(forgotten))
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
                    DAGSTER_CELERY_QUEUE_TAG: QUEUE,
                    MAX_RUNTIME_SECONDS_TAG: str(round(max_runtime.total_seconds())),
                },
            )
        if not plans:
            yield dg.SkipReason(unconfigured_topics.describe(forgotten) if forgotten else _why_nothing(missing, stuck))

    return _sensor


def kept_connection(postgres: Postgres) -> WarmConnection:
    """A sensor's connection, kept from tick to tick; opened at its first use."""
    return WarmConnection(postgres, "millrace-sensor", statement_timeout_seconds=10)


def database_now(connection: Connection) -> datetime:
    """PostgreSQL's time, in which a run's creation is told: by a clock that differs a run at work would look lost."""
    row = connection.execute("select clock_timestamp()").fetchone()
    found: datetime = row[0] if row else datetime.now(UTC)
    return found


def why_no_run_can_be_sent(instance: dg.DagsterInstance, queue: str) -> str | None:
    """Why the broker takes no runs now: every tick would leave a failed one behind. Other launchers have no broker."""
    refused = getattr(instance.run_launcher, "refused", None)
    return refused(queue) if refused else None


def _listed(stuck: Iterable[Withheld]) -> str:
    return "; ".join(map(str, stuck))


def _why_nothing(missing: list[str], stuck: Sequence[Withheld]) -> str:
    if stuck:
        return f"Kafka does not hand out {_listed(stuck)}. The rest is committed, or a run is at work on it"
    if missing:
        return (
            f"Kafka has no topic {', '.join(missing)}: create it, correct MILLRACE_KAFKA_TOPICS, "
            "or set MILLRACE_KAFKA_CREATE_TOPICS=true"
        )
    return "everything is committed, or a run is at work on it"
