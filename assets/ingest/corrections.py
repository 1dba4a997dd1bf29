"""Changing what may be stored, and recording what is taken away after it was stored.

What belongs here: the locks of erasure and retention, and their side of the ledger and of the totals. What does not:
the deleting, and what the rules mean for a record (`storage_rules`).

Who changes the rules holds their lock alone, for a moment: a transaction that stores has either seen a change or was
committed before it. Deleting rows and recording what was deleted takes longer, and goes on beside the ingest; only
replays and redrives, which look at what is stored of a record before they record a difference, must not see it half
done. A replay compares a range with what the ledger has for exactly that range, so differences are recorded for the
ranges of the ledger and no others.
"""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Literal, NamedTuple

import psycopg

from assets.ingest import metric_counts
from assets.ingest.ledger import Author
from assets.ingest.ledger_queries import block_folding
from assets.ingest.partitions import on_table
from assets.ingest.retry import terminating_blockers
from assets.ingest.sql import statement
from monitoring.metrics.totals import NO_LANE
from resources import locks
from resources.postgres import Connection, Postgres, commit, rollback

Becomes = Literal["erased", "expired"]
_FROZEN_SECONDS = 30


class RulesLocked(Exception):
    """Somebody kept storing, or was frozen while storing, for longer than the time limit."""


class Reclassified(NamedTuple):
    """How many records became something else."""

    stored: int
    dead_letters: int


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


def begin(connection: Connection) -> None:
    """First in a transaction that deletes rows and records it: keep out who would record the same, and make `lost`.

    `lost (topic_id, partition, kafka_offset, outcome)` is to be filled with the records that were deleted, and what
    they were recorded as: stored or dead_letters.
    """
    connection.execute("select pg_advisory_xact_lock(%s)", (locks.CORRECTIONS,))
    block_folding(connection)
    connection.execute(statement("stage_lost"))


def write_difference(connection: Connection, author: Author, becomes: Becomes) -> Reclassified:
    """Book the records in `lost`."""
    connection.execute(statement("ranges_of_lost"))
    return _write(connection, author, becomes)


def write_table_difference(connection: Connection, author: Author, becomes: Becomes, table: str) -> Reclassified:
    """Book all rows of a partition, many millions perhaps; `begin` was called before."""
    connection.execute(on_table(statement("ranges_of_table"), table))
    return _write(connection, author, becomes)


def count(connection: Connection, becomes: Becomes, types: Mapping[str, int], dead_letters: int = 0) -> None:
    """Add what was deleted, events by type and dead letters, to the totals; last before COMMIT."""
    metric_counts.taken_away(becomes, types, dead_letters).write(connection, NO_LANE)


def _write(connection: Connection, author: Author, becomes: str) -> Reclassified:
    booking = {"author": author.run_id, "booking": author.kind, "becomes": becomes}
    row = connection.execute(statement("book_lost"), booking).fetchone()
    return Reclassified(*(row or (0, 0)))


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
