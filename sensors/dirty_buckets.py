"""Has the aggregates take in what waits: requests one run when the oldest mark has waited for long enough.

What belongs here: the decision, and the thin shell around it. What does not: what is taken in first, and fairness
between new and late hours (`assets.aggregates.writer`). A tick changes nothing and remembers nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG

from assets.aggregates.refresh_op import QUEUE
from resources import locks
from resources.postgres import Postgres, WarmConnection
from sensors.kafka_offsets import UNFINISHED, Looks, database_now, kept_connection, why_no_run_can_be_sent

NAME = "dirty_buckets"
_MAX_RUNTIME = timedelta(minutes=10)
_MARKS = """
select
    count(*) as marks,
    coalesce(sum(events), 0)::bigint as events,
    count(distinct hour) as hours,
    extract(epoch from clock_timestamp() - min(marked_at))::float8 as oldest_seconds,
    exists (
        select 1 from pg_locks where locktype = 'advisory' and objid = %(lock)s and objsubid = 1 and granted
    ) as at_work
from ops.dirty_buckets
"""


class Waiting(NamedTuple):
    """What waits, for how long, and whether a writer of the aggregates is at work."""

    marks: int
    events: int
    hours: int
    oldest: timedelta | None
    at_work: bool = False


def due(waiting: Waiting, longest_wait: timedelta) -> bool:
    """Whether the oldest mark has waited for so long that a run is worth its costs."""
    return waiting.oldest is not None and waiting.oldest >= longest_wait


def believed(ages: list[timedelta], waiting: Waiting, timeout: timedelta) -> bool:
    """Whether a run is in flight that will take in what waits.

    A run that is older than the time-out counts only while somebody holds the writers' lock: a killed worker leaves
    STARTED behind, a flushed broker STARTING. A second run is harmless: it waits for the lock.
    """
    return any(age <= timeout or waiting.at_work for age in ages)


def explain(waiting: Waiting, longest_wait: timedelta, *, in_flight: bool) -> str:
    """Why no run is requested."""
    if waiting.oldest is None:
        return "every table is settled: ops.dirty_buckets is empty"
    seconds = waiting.oldest.total_seconds()
    what = f"{waiting.events:,} events on {waiting.hours} hours wait, the oldest for {seconds:.1f} s"
    if in_flight:
        return f"{what}; a run is at work on them"
    return f"{what}; a run is requested after {longest_wait.total_seconds():.0f} s (a third of MILLRACE_FRESHNESS)"


@dataclass
class DirtyBuckets:
    """The inputs of the sensor; the connection is kept from tick to tick."""

    postgres: Postgres
    freshness: timedelta
    timeout: timedelta
    job_name: str

    @property
    def longest_wait(self) -> timedelta:
        """How long a mark waits for others: the rest of the freshness is for the run."""
        return self.freshness / 3

    def waiting(self) -> Waiting:
        """What waits now.

        Raises:
            psycopg.Error: PostgreSQL cannot be asked.
        """
        lock = {"lock": locks.AGGREGATES}
        row: Any = self._database.read(lambda connection: connection.execute(_MARKS, lock).fetchone())
        oldest = None if row[3] is None else timedelta(seconds=row[3])
        return Waiting(row[0], row[1], row[2], oldest, row[4])

    def in_flight(self, instance: dg.DagsterInstance, waiting: Waiting) -> bool:
        """Whether a run that was requested is still expected to take in what waits."""
        records = instance.get_run_records(dg.RunsFilter(job_name=self.job_name, statuses=UNFINISHED), limit=100)
        now = self._database.read(database_now)
        return believed([now - record.create_timestamp for record in records], waiting, self.timeout)

    @cached_property
    def _database(self) -> WarmConnection:
        return kept_connection(self.postgres)


def dirty_buckets_sensor(inputs: DirtyBuckets, looks: Looks) -> dg.SensorDefinition:
    """The sensor definition."""

    def look(instance: Callable[[], dg.DagsterInstance]) -> tuple[Waiting, bool, bool]:
        waiting = inputs.waiting()
        ready = due(waiting, inputs.longest_wait)
        return waiting, ready, ready and inputs.in_flight(instance(), waiting)

    @dg.sensor(
        name=NAME,
        job_name=inputs.job_name,
        minimum_interval_seconds=looks.seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests the run that merges new and late events into the aggregates, seconds after they came.",
    )
    def _sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        waiting, ready, in_flight = looks.until(
            lambda seen: seen[1] and not seen[2], lambda: look(lambda: context.instance)
        )
        if not ready or in_flight:
            yield dg.SkipReason(explain(waiting, inputs.longest_wait, in_flight=in_flight))
        elif why := why_no_run_can_be_sent(context.instance, QUEUE):
            yield dg.SkipReason(f"Celery's broker takes no runs: {why}; {waiting.events:,} events wait for it")
        else:
            # No run key: a failed run with a run key would block what it should have taken in. The queue is named here
            # and not by the job: a run that a person starts goes to the default one.
            yield dg.RunRequest(
                tags={
                    DAGSTER_CELERY_QUEUE_TAG: QUEUE,
                    MAX_RUNTIME_SECONDS_TAG: str(round(_MAX_RUNTIME.total_seconds())),
                    "millrace/events": str(waiting.events),
                }
            )

    return _sensor
