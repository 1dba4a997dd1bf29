"""Tries a chunk again until it is committed: infrastructure faults are waited out, data faults never get here.

What belongs here: which failure is worth another try, the back-off, the connection that is made anew. What does not:
the transaction itself (`store`).
"""

import random
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from logging import Logger
from typing import TypeVar

import psycopg

from millrace.assets.ingest import books
from millrace.assets.ingest.evict import evicting_blockers
from millrace.assets.ingest.model import Chunk
from millrace.assets.ingest.rows import PartitionMissing
from millrace.assets.ingest.store import AlreadyCommitted, Prepared
from millrace.resources.kafka import KafkaUnavailable
from millrace.resources.postgres import (
    INGEST_APPLICATION,
    CommitLost,
    Connection,
    Postgres,
    describe,
    is_transient,
    rollback,
)

T = TypeVar("T")

_LOCK_NOT_AVAILABLE = "55P03"


class StorageFailed(Exception):
    """A chunk could not be stored; nothing of it was. Its text has no data of any row in it."""


@dataclass
class Database:
    """A warm connection for storing, made anew when it broke."""

    postgres: Postgres
    _connection: Connection | None = field(default=None, repr=False)

    def connection(self) -> Connection:
        """The connection, outside any transaction.

        Raises:
            psycopg.OperationalError: PostgreSQL cannot be reached.
        """
        if self._connection is None or self._connection.closed:
            self._connection = self.postgres.connect(INGEST_APPLICATION)
            # A plan made for one partition's bounds is wrong for the next one's.
            self._connection.prepare_threshold = None
        return self._connection

    def reset(self) -> None:
        """After a failure: roll back, or drop a connection that is broken."""
        if self._connection is not None:
            rollback(self._connection)

    def close(self) -> None:
        """Drop the connection; the next use makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@dataclass(frozen=True)
class Patience:
    """How long to keep trying, and from when a session that blocks counts as frozen."""

    give_up_after_seconds: float
    evict_older_than_seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def until_committed(
    database: Database,
    work: Callable[[Connection, Prepared], T],
    prepared: Prepared,
    patience: Patience,
    log: Logger,
    on_missing_partition: Callable[[], None],
) -> T | None:
    """Do `work` until it succeeds; None if the chunk turned out to be committed already, by us or a twin.

    Raises:
        AlreadyCommitted: the offsets are elsewhere than this chunk would have put them.
        StorageFailed: a failure that trying again does not mend, or that did not end in time.
    """
    began, blocked, tries = patience.clock(), False, 0
    while True:
        try:
            connection = database.connection()
            watch = (
                evicting_blockers(database.postgres, connection, patience.evict_older_than_seconds)
                if blocked
                else nullcontext()
            )
            with watch:
                return work(connection, replace(prepared, retries=tries))
        except AlreadyCommitted:
            database.reset()
            if not _stands_at_end(database.connection(), prepared.chunk):
                raise
            return None
        except (psycopg.Error, CommitLost, PartitionMissing, KafkaUnavailable) as error:
            database.reset()
            waited = patience.clock() - began
            if not _worth_it(error) or waited > patience.give_up_after_seconds:
                # Not the error itself: its text may quote rows, and what a run raises is kept and shown.
                raise StorageFailed(f"{describe(error)} (after {waited:.0f} s and {tries} retries)") from None
            blocked = isinstance(error, psycopg.Error) and error.sqlstate == _LOCK_NOT_AVAILABLE
            if isinstance(error, PartitionMissing):
                on_missing_partition()
            tries += 1
            log.warning("try %d of this chunk failed (%s), trying again", tries, describe(error))
            patience.sleep(min(2.0, 0.05 * 2 ** min(tries, 6)) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        except BaseException:
            database.reset()
            raise


def _worth_it(error: Exception) -> bool:
    return isinstance(error, (PartitionMissing, KafkaUnavailable)) or is_transient(error)


def _stands_at_end(connection: Connection, chunk: Chunk) -> bool:
    now = books.committed(connection)
    return all(now.get(r.place) == r.end for r in chunk.ranges if r.start != r.end)
