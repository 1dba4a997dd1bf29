"""Tries a chunk again until it is committed: infrastructure faults are waited out, data faults never get here.

What belongs here: which failure is worth another try, the back-off, the connection that is made anew, the end of a
session that is frozen and blocks. What does not: the transaction itself (`store`).
"""

import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from logging import Logger
from typing import TypeVar

import psycopg

from assets.ingest import ledger_queries, metric_counts
from assets.ingest.event_writer import PartitionMissing
from assets.ingest.model import Chunk
from assets.ingest.pull import PartitionsUnreadable
from assets.ingest.store import AlreadyCommitted, Prepared
from monitoring.metrics.totals import Totals
from resources.kafka import KafkaUnavailable
from resources.postgres import (
    INGEST_APPLICATION,
    CommitLost,
    Connection,
    Postgres,
    WarmConnection,
    describe,
    is_transient,
)

T = TypeVar("T")

_INFRASTRUCTURE = (psycopg.Error, CommitLost, PartitionMissing, KafkaUnavailable)
_LOCK_TIMEOUT = "lock_timeout"
_LOOK_EVERY_SECONDS = 0.5
_EVICT = """
select pg_terminate_backend(a.pid)
from unnest(pg_blocking_pids(%s)) as b (pid) inner join pg_stat_activity as a on a.pid = b.pid
where a.application_name = %s and a.xact_start < clock_timestamp() - make_interval(secs => %s)
"""


class StorageFailed(Exception):
    """A chunk could not be stored; nothing of it was. Its text has no data of any row in it."""


class StoreConnection(WarmConnection):
    """A warm connection for storing, made anew when it broke."""

    def __init__(self, postgres: Postgres) -> None:
        """Opens nothing yet."""
        super().__init__(postgres, INGEST_APPLICATION, prepare=_without_prepared_statements)


def _without_prepared_statements(connection: Connection) -> None:
    connection.prepare_threshold = None  # a plan made for one partition's bounds is wrong for the next one's


@dataclass(frozen=True)
class RetryPolicy:
    """How long to keep trying, and from when a session that blocks counts as frozen."""

    give_up_after_seconds: float
    evict_older_than_seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def commit_with_retry(
    database: StoreConnection,
    work: Callable[[Connection, Prepared], T],
    prepared: Prepared,
    policy: RetryPolicy,
    log: Logger,
    on_missing_partition: Callable[[], None],
    pending: Totals,
) -> T | None:
    """Do `work` until it succeeds; None if the chunk turned out to be committed already, by us or a twin.

    Why it was tried again is counted in the transaction that succeeds; without one, in `pending`.

    Raises:
        AlreadyCommitted: the offsets are elsewhere than this chunk would have put them.
        PartitionsUnreadable: Kafka refuses to describe a topic of the chunk.
        StorageFailed: a failure that trying again does not mend, or that did not end in time.
    """
    began, retried = policy.clock(), list[str]()
    try:
        while True:
            try:
                made = _attempt(database, work, replace(prepared, retried=tuple(retried)), policy)
                retried.clear()
                return made
            except AlreadyCommitted:
                if not database.read(lambda connection: _stands_at_end(connection, prepared.chunk)):
                    raise
                return None
            except PartitionsUnreadable:
                raise  # it names them; waiting for them would keep the others of the chunk from being planned anew
            except _INFRASTRUCTURE as error:
                waited = policy.clock() - began
                if not _worth_it(error) or waited > policy.give_up_after_seconds:
                    # Not the error itself: its text may quote rows, and what a run raises is kept and shown.
                    raise StorageFailed(
                        f"{describe(error)} (after {waited:.0f} s and {len(retried)} retries)"
                    ) from None
                if isinstance(error, PartitionMissing):
                    on_missing_partition()
                retried.append(retry_kind(error))
                log.warning("try %d of this chunk failed (%s), trying again", len(retried), describe(error))
                _back_off(policy, len(retried))
    finally:
        pending.add(metric_counts.retries(retried))


def read_with_retry(database: StoreConnection, ask: Callable[[Connection], T], policy: RetryPolicy) -> T:
    """Ask something that changes nothing, again and again while PostgreSQL cannot answer.

    Raises:
        StorageFailed: a failure that trying again does not mend, or that did not end in time.
    """
    began, tries = policy.clock(), 0
    while True:
        try:
            return database.read(ask)
        except psycopg.Error as error:
            waited = policy.clock() - began
            if not is_transient(error) or waited > policy.give_up_after_seconds:
                raise StorageFailed(f"{describe(error)} (after {waited:.0f} s and {tries} retries)") from None
        tries += 1
        _back_off(policy, tries)


def _attempt(
    database: StoreConnection, work: Callable[[Connection, Prepared], T], prepared: Prepared, policy: RetryPolicy
) -> T:
    """Once. After a time-out of a lock, with an eye on who holds it."""
    try:
        connection = database.connection()
        blocked = prepared.retried[-1:] == (_LOCK_TIMEOUT,)
        older_than = policy.evict_older_than_seconds
        with terminating_blockers(database.postgres, connection, older_than) if blocked else nullcontext():
            return work(connection, prepared)
    except BaseException as error:
        database.failed(error)
        raise


def _back_off(policy: RetryPolicy, tries: int) -> None:
    policy.sleep(min(2.0, 0.05 * 2 ** min(tries, 6)) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


def retry_kind(error: Exception) -> str:
    """Why a transaction is tried again, as `millrace_retries_total` names it."""
    if isinstance(error, PartitionMissing):
        return "partition"
    if isinstance(error, KafkaUnavailable):
        return "kafka"
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state is None:  # no answer from the server, or none that can be right
        return "connection"
    named = {"40P01": "deadlock", "55P03": _LOCK_TIMEOUT, "25P03": "connection", "25006": "connection"}
    classes = {"40": "serialization", "08": "connection"}
    if state.startswith("57P0"):
        return "connection"
    return named.get(state) or classes.get(state[:2], "other")


def _worth_it(error: Exception) -> bool:
    return isinstance(error, (PartitionMissing, KafkaUnavailable)) or is_transient(error)


def _stands_at_end(connection: Connection, chunk: Chunk) -> bool:
    now = ledger_queries.committed_offsets(connection)
    return all(now.get(r.topic_partition) == r.end for r in chunk.ranges if r.start != r.end)


@contextmanager
def terminating_blockers(postgres: Postgres, blocked: Connection, older_than_seconds: float) -> Generator[None]:
    """While the body runs, end the ingest sessions that block `blocked` and whose transactions are that old.

    A client that was stopped in the middle of a COPY holds its locks for ever: no server time-out fires while the
    server waits for its client.
    """
    done = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(postgres, blocked.info.backend_pid, older_than_seconds, done), daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join(timeout=10)


def _watch(postgres: Postgres, pid: int, older_than_seconds: float, done: threading.Event) -> None:
    # A database that is away is the blocked session's trouble, and it says so itself.
    with (
        suppress(psycopg.Error),
        postgres.connect("millrace-evict", statement_timeout_seconds=5) as watching,
    ):
        while not done.wait(_LOOK_EVERY_SECONDS):
            watching.execute(_EVICT, (pid, INGEST_APPLICATION, older_than_seconds))
