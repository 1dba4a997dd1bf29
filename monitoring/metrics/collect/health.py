"""The group `health`: which of the services do their work, and whether ids are still asked of Redis."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import psycopg

from monitoring.metrics.collect.snapshot import Snapshot
from monitoring.metrics.families import Samples
from monitoring.metrics.sql import statement
from resources.redis import Redis, RedisUnavailable, try_list_write, try_write


@dataclass
class Health:
    """Tells it whatever is down."""

    redis: Redis
    broker: Redis
    queues: Sequence[str] = ()

    def __call__(self, seen: Snapshot) -> Samples:
        """The values of the group."""
        redis = _takes_writes(self.redis)
        up = {
            "kafka": seen.available is not None,
            "postgres": seen.postgres,
            "redis": redis,
            "broker": _takes_writes(self.broker, self.queues),
        }
        return {
            "millrace_dependency_up": {(name,): float(answers) for name, answers in up.items()},
            "millrace_dedup_degraded": {(): float(not redis or _degraded(seen))},
            "millrace_build_info": {(_version(),): 1.0},
        }


def _takes_writes(redis: Redis, lists: Sequence[str] = ()) -> bool:
    """A server that answers PING may take no writes (full, a replica after a failover): it is of no use, then."""
    try:
        for name in lists:
            redis.call(lambda client, name=name: try_list_write(client, name))
        if not lists:
            redis.call(try_write)
    except RedisUnavailable:
        return False
    return True


def _degraded(seen: Snapshot) -> bool:
    """Whether the newest batch of the last seconds had to do without Redis: it may answer us and hang for others."""
    if not seen.postgres:
        return False
    try:
        with seen.database.asking() as connection:
            return any(row[0] for row in connection.execute(statement("degraded")))
    except psycopg.Error:
        return False


@cache
def _version() -> str:
    try:
        return version("millrace")
    except PackageNotFoundError:
        return "unknown"
