"""Which rules a transaction stores by, and the locks that keep those who change the rules apart from those who store.

What belongs here: two advisory locks and the reading of the rules. What does not: what the rules mean for a record
(`exclusions`), and who changes them (`assets.erasure`, `assets.upkeep.retention`).

Every storing transaction holds the lock on the rules shared, from its first statement to its end. Who changes them
holds it alone, for a moment: a transaction has either seen a change or was committed before it. Deleting rows and
recording what was deleted takes longer, and goes on beside the ingest; only replays and redrives, which look at what
is stored of a record before they record a difference, must not see it half done.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import psycopg

from assets.ingest.plan import OffsetRange
from assets.ingest.sql import statement
from assets.ingest.terminate_blockers import terminating_blockers
from resources import locks
from resources.postgres import Connection, Postgres, commit, rollback

# Arbitrary numbers.
_FROZEN_SECONDS = 30


class RulesLocked(Exception):
    """Somebody kept storing, or was frozen while storing, for longer than patience lasts."""


class StorageRules(NamedTuple):
    """By which rules a transaction stores.

    frontier: what occurred before it, in microseconds since 1970, is expired; None without retention.
    erasures: whether anybody was ever erased.
    reach: whether an erasure reaches into the offsets at hand.
    """

    frontier: int | None = None
    erasures: bool = False
    reach: bool = False


def begin_storing(
    connection: Connection, ranges: Sequence[OffsetRange], lock_timeout_seconds: float, *, again: bool
) -> StorageRules:
    """Begin a storing transaction: one round trip, and another once anybody was erased.

    Args:
        connection: outside of any transaction.
        ranges: the offsets at hand.
        lock_timeout_seconds: for the whole transaction.
        again: they were accounted for before, as in a replay; such a transaction keeps out of deletions.

    Raises:
        psycopg.errors.LockNotAvailable: the rules are being changed, or rows are being deleted. Try again.
    """
    arguments = {
        "timeout": f"{int(lock_timeout_seconds * 1000)}ms",
        "corrections": locks.CORRECTIONS,
        "again": again,
        "rules": locks.RULES,
    }
    # Values are bound by the client, so that all statements go in one message; each has a snapshot of its own.
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(statement("begin_storing"), arguments)
        while cursor.nextset():
            pass
        [(before, any_erasure)] = cursor.fetchall()
    return StorageRules(before, any_erasure, any_erasure and _reach(connection, ranges))


def _reach(connection: Connection, ranges: Sequence[OffsetRange]) -> bool:
    arguments = {
        "topic_ids": [r.topic_partition.topic_id for r in ranges],
        "partitions": [r.topic_partition.partition for r in ranges],
        "starts": [r.start for r in ranges],
    }
    [[found]] = connection.execute(statement("reach"), arguments).fetchall()
    return found


def frontier(connection: Connection) -> int | None:
    """Where the frontier of retention is, in microseconds since 1970; None without one."""
    row = connection.execute(statement("frontier")).fetchone()
    return int(row[0]) if row else None


def read_rules(connection: Connection) -> StorageRules:
    """The rules as they are, for who only looks."""
    [[erasures]] = connection.execute("select exists(select 1 from ops.erasures)").fetchall()
    return StorageRules(frontier(connection), erasures, erasures)


@contextmanager
def changing_rules(postgres: Postgres, connection: Connection, at_most_seconds: float = 90) -> Generator[None]:
    """A transaction in which nobody stores; committed at the end. Keep it short: the ingest stands still.

    Raises:
        RulesLocked: it did not get in.
    """
    _alone(postgres, connection, at_most_seconds)
    try:
        yield
        commit(connection)
    except BaseException:
        rollback(connection)
        raise


def block_replays(connection: Connection) -> None:
    """Keep replays and redrives away until the transaction ends; call it first in one that deletes stored rows."""
    connection.execute("select pg_advisory_xact_lock(%s)", (locks.CORRECTIONS,))


def _alone(postgres: Postgres, connection: Connection, at_most_seconds: float) -> None:
    """Begin a transaction with the rules to itself. While it waits the ingest waits too, so it never waits long."""
    until, policy = time.monotonic() + at_most_seconds, 1
    with terminating_blockers(postgres, connection, _FROZEN_SECONDS):
        while True:
            try:
                connection.execute("begin")
                connection.execute("select set_config('lock_timeout', %s, true)", (f"{policy}s",))
                connection.execute("select pg_advisory_xact_lock(%s)", (locks.RULES,))
                return
            except psycopg.errors.LockNotAvailable:
                rollback(connection)
                if time.monotonic() > until:
                    raise RulesLocked("the ingest did not pause for a moment") from None
                policy = min(5, policy + 1)
                time.sleep(0.2)
