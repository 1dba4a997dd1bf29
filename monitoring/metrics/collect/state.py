"""The group `state`: what waits, what is stale, what the newest checks found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from monitoring.metrics.collect.counters import dagster_is_there
from monitoring.metrics.collect.snapshot import Snapshot
from monitoring.metrics.families import Samples
from monitoring.metrics.names import MetricName
from monitoring.metrics.sql import statement
from resources.postgres import Connection
from resources.redis import Redis, RedisUnavailable


@dataclass
class State:
    """Asks PostgreSQL, and Celery's broker for its queues.

    `groups`: the group of each aggregate that takes events in. `withheld`: what cannot be read, as the ingest knows it.
    """

    broker: Redis
    queues: Sequence[str]
    jobs: Sequence[str]
    groups: Mapping[str, str] = field(default_factory=dict[str, str])
    withheld: Callable[[Snapshot], Samples] = lambda _: {}

    def __call__(self, seen: Snapshot) -> Samples:
        """The values of the group.

        Raises:
            Unknown: PostgreSQL does not answer.
            psycopg.Error: it fails.
        """
        with seen.asked().asking() as connection:
            samples: Samples = {**self._aggregates(connection), **dict(self._of_dagster(connection))}
        queues: Samples = {"millrace_queue_depth": self._queues()}
        return {**queues, **samples, **self.withheld(seen)}

    def _queues(self) -> dict[tuple[str, ...], float]:
        try:
            return self.broker.call(lambda client: {(name,): float(client.llen(name)) for name in self.queues})
        except RedisUnavailable:
            return {}

    def _aggregates(self, connection: Connection) -> Samples:
        [[waiting]] = connection.execute("select coalesce(sum(events), 0)::float8 from ops.dirty_buckets").fetchall()
        asked = {"tables": list(self.groups), "groups": list(self.groups.values())}
        stale = connection.execute(statement("staleness"), asked)
        return {
            "millrace_aggregate_waiting_events": {(): waiting},
            "millrace_aggregate_staleness_seconds": {(table,): seconds for table, seconds in stale},
        }

    def _of_dagster(self, connection: Connection) -> Iterator[tuple[MetricName, dict[tuple[str, ...], float]]]:
        if not dagster_is_there(connection):
            return
        none = {(job,): 0.0 for job in self.jobs}
        found = connection.execute(statement("runs_in_flight"))
        yield "millrace_runs_in_flight", {**none, **{(job,): float(runs) for job, runs in found}}
        passed = connection.execute(statement("checks"))
        yield "millrace_check_passed", {(check,): float(well) for check, well in passed}
