"""Retention of raw events: moves the frontier, and drops what lies behind it. Off unless a setting says otherwise.

What belongs here: the order of the steps, and the dropping. What does not: when (a schedule), and what becomes of
events that come in behind the frontier (`assets.ingest.storage_rules`).

Readers and the ingest go on meanwhile: a partition is detached concurrently, and only then, when nobody can see it any
more, recorded and dropped in one transaction. Whatever was begun and not finished, the next run finishes; a table named
raw.events_YYYYMMDD behind the frontier is taken for such a rest, so an archive needs another name or schema.
Aggregates are kept: what is behind the frontier is frozen, not forgotten.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import psycopg
from psycopg import sql

from assets import audit
from assets.aggregates.writer import AggregateWriter
from assets.audit import AuditedCall
from assets.ingest import corrections
from assets.ingest.ledger import Author
from assets.ingest.partitions import detached
from assets.upkeep.sql import statement
from resources.postgres import Connection, Postgres, commit, rollback

APPLICATION = "millrace-retention"
_TRIES = 4
_OLD_ROWS = 20_000


@dataclass
class Retained:
    """What a run of the retention did.

    `left` are partitions behind the frontier that somebody was reading all the time: the next run drops them.
    """

    frontier: datetime | None = None
    partitions: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0


def apply(
    postgres: Postgres,
    aggregates: AggregateWriter,
    retention_days: int | None,
    run_id: str,
    now: datetime | None = None,
    failpoint: Callable[[str], None] = lambda _: None,
    lock_timeout_seconds: float = 5,
) -> Retained:
    """Keep raw events of so many days before today, UTC; the frontier never moves back.

    Args:
        postgres: the database.
        aggregates: take in what waits of days that are to be dropped.
        retention_days: None or 0: keep all, and leave the frontier where it is.
        run_id: who does it, for ledger and audit.
        now: instead of the clock, for tests.
        failpoint: called at points at which tests stop it.
        lock_timeout_seconds: how long to wait for readers of a partition, several times; the rest is left.

    Raises:
        GateBusy, psycopg.Error: some of it was not done; the next run does it.
    """
    if not retention_days:
        return Retained()
    began, today = time.monotonic(), (now or datetime.now(UTC)).astimezone(UTC).date()
    with postgres.connect(APPLICATION) as connection:
        connection.execute("select set_config('lock_timeout', %s, false)", (f"{int(lock_timeout_seconds * 1000)}ms",))
        wanted = _midnight(today - timedelta(days=retention_days))
        # What waits is taken in before its sessions are frozen, and what slipped in while the frontier moved after it.
        _settle(aggregates, wanted.date())
        frontier = _move(postgres, connection, wanted)
        _settle(aggregates, frontier.date())
        done = _Retention(connection, run_id, frontier, failpoint).do()
    done.seconds = time.monotonic() - began
    return done


@dataclass
class _Retention:
    connection: Connection
    run_id: str
    frontier: datetime
    failpoint: Callable[[str], None]
    done: Retained = field(default_factory=Retained)

    def do(self) -> Retained:
        self.done.frontier = self.frontier
        for table in self._attached():
            if not self._patiently(lambda t=table: self._detach(t)):
                break  # PostgreSQL detaches one at a time
        self.failpoint("retention_detached")
        left = set(self._attached())
        for table in detached(self.connection):
            if (
                _day(table) < self.frontier.date()
                and table not in left
                and not self._patiently(lambda t=table: self._drop(t))
            ):
                left.add(table)
        while self._delete_old():
            pass
        self.done.left = sorted(left)
        if self.done.rows or self.done.partitions:
            self._audit()
        return self.done

    def _attached(self) -> list[str]:
        """The day partitions behind the frontier, also those whose detaching was begun and not finished."""
        found = self.connection.execute(statement("days_of_events")).fetchall()
        first = sorted(found, key=lambda row: not row[1])
        return [table for table, _ in first if _day(table) < self.frontier.date()]

    def _patiently(self, step: Callable[[], None]) -> bool:
        """Try for as long as somebody else holds a lock, a few seconds each time; whether it was done."""
        for tries in range(_TRIES):
            try:
                step()
                return True
            except psycopg.errors.LockNotAvailable:
                time.sleep(0.2 * 2**tries)
        return False

    def _detach(self, table: str) -> None:
        """Take it out of raw.events; an attempt that waited too long for readers left it half way, and is finished."""
        pending = dict(self.connection.execute(statement("days_of_events")).fetchall())
        how = sql.SQL("finalize" if pending[table] else "concurrently")
        self.connection.execute(sql.SQL("alter table raw.events detach partition {} {}").format(_name(table), how))

    def _drop(self, table: str) -> None:
        with self._booking():
            by_type = sql.SQL("select type, count(*) from {} group by type").format(_name(table))
            types: dict[str, int] = dict(self.connection.execute(by_type).fetchall())
            [[size]] = self.connection.execute("select pg_total_relation_size(%s::regclass)", (table,)).fetchall()
            corrections.write_table_difference(self.connection, self._author, "expired", table)
            self.connection.execute(sql.SQL("drop table {}").format(_name(table)))
            corrections.count(self.connection, "expired", types)
            self.failpoint("retention_before_commit")
        self.done.partitions.append(table)
        self.done.rows += sum(types.values())
        self.done.bytes += size

    def _delete_old(self) -> bool:
        """Some of the rows from before the first day partition; whether there may be more."""
        with self._booking():
            bounds = {"frontier": self.frontier, "most": _OLD_ROWS}
            types = dict(self.connection.execute(statement("delete_old_events"), bounds).fetchall())
            corrections.write_difference(self.connection, self._author, "expired")
            corrections.count(self.connection, "expired", types)
        deleted = sum(types.values())
        self.done.rows += deleted
        return deleted == _OLD_ROWS

    @contextmanager
    def _booking(self) -> Generator[None]:
        """A transaction in which rows are deleted and that is recorded."""
        try:
            self.connection.execute("begin")
            corrections.begin(self.connection)
            yield
            commit(self.connection)
        except BaseException:
            rollback(self.connection)
            raise

    @property
    def _author(self) -> Author:
        return Author(self.run_id, 0, "retention")

    def _audit(self) -> None:
        figures = {"partitions": len(self.done.partitions), "rows": self.done.rows, "bytes": self.done.bytes}
        call = AuditedCall(self.run_id, self.run_id, "retention", self.frontier.isoformat())
        audit.record(self.connection, call, figures)


def _settle(aggregates: AggregateWriter, before: date) -> None:
    days = [waits.day for waits in aggregates.pending() if waits.day < before]
    if days:
        aggregates.refresh(days)


def _move(postgres: Postgres, connection: Connection, wanted: datetime) -> datetime:
    """Move the frontier, unless it is further already; where it is then."""
    with corrections.changing_rules(postgres, connection):
        connection.execute(statement("move_frontier"), {"frontier": wanted})
    [[frontier]] = connection.execute("select frontier from ops.retention_frontier").fetchall()
    return frontier


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def _day(table: str) -> date:
    return datetime.strptime(table[-8:], "%Y%m%d").replace(tzinfo=UTC).date()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
