"""The group `health`: which of the services answer, and whether ids are still asked of Redis."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import psycopg

from millrace.metrics.collect.seen import Seen
from millrace.metrics.families import Samples
from millrace.metrics.sql import statement
from millrace.resources.redis import Redis, RedisUnavailable


@dataclass
class Health:
    """Tells it whatever is down."""

    redis: Redis
    broker: Redis

    def __call__(self, seen: Seen) -> Samples:
        """The values of the group."""
        redis = _answers(self.redis)
        up = {
            "kafka": seen.available is not None,
            "postgres": seen.postgres,
            "redis": redis,
            "broker": _answers(self.broker),
        }
        return {
            "millrace_dependency_up": {(name,): float(answers) for name, answers in up.items()},
            "millrace_dedup_degraded": {(): float(not redis or _degraded(seen))},
            "millrace_build_info": {(_version(),): 1.0},
        }


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.call(lambda client: client.ping()))
    except RedisUnavailable:
        return False


def _degraded(seen: Seen) -> bool:
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
