"""The aggregates' one writer: takes marks in, rebuilds ranges, forgets users.

What belongs here: the lock, transactions, and the order of the parts. What does not: SQL and what a table holds.

One writer at a time, by an advisory lock that is held before a transaction begins: so the snapshot of the transaction
(REPEATABLE READ) is never older than the last writer's COMMIT, and marks, events and tables in it belong together.
The rule that it keeps: a table is what its definition makes of raw.events without the events of marks that wait.
"""

import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import psycopg

from assets.aggregates import daily, history, hourly, login_audit, marks, rollups, sessions, user_days
from assets.aggregates.funnel import Funnel
from assets.aggregates.funnel_file import read
from assets.aggregates.history import FillStep, TableHistory
from assets.aggregates.login_audit import AuditRules
from assets.aggregates.marks import NewEvents, Pending
from assets.aggregates.pace import LONGEST_SECONDS, UNBOUNDED, Bounds, Pace, ended_after
from assets.aggregates.rebuild import Progress, Rebuilt, read_days_with_rows, read_events_by_hour, rebuild
from assets.aggregates.sql import statement
from resources import locks
from resources.postgres import Connection, Postgres, WarmConnection, commit, is_transient, rollback

APPLICATION = "millrace-aggregates"
_TRIES, _TIMED_OUT_TRIES = 5, 3
# A writer that is frozen loses its lock: the server ends a session that is silent for so long. One that is killed loses
# it too, in the middle of a statement: the server looks whether the client is there, and a statement ends before a
# run's maximum (two hours; a refresh has a shorter one). A plan is made for the tables as they are in the transaction.
_SESSION = """
set idle_in_transaction_session_timeout = '2min';
set idle_session_timeout = '10min';
set client_connection_check_interval = '5s';
set statement_timeout = '110min';
set plan_cache_mode = 'force_custom_plan';
set jit = off;
set work_mem = '64MB';
"""
_BEGIN = "begin isolation level repeatable read"
NEVER = datetime(1, 1, 1, tzinfo=UTC)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did."""

    marks: int = 0
    events: int = 0
    hours: frozenset[datetime] = field(default=frozenset(), repr=False)
    seconds: float = 0.0
    transactions: int = 0


@dataclass
class AggregateWriter:
    """The aggregates of one database. Opens its connection at first use and keeps it."""

    postgres: Postgres
    funnel: Funnel = field(default_factory=read)
    audit: AuditRules = field(default_factory=AuditRules)
    events_per_transaction: int = 200_000
    longest: float = LONGEST_SECONDS
    failpoint: Callable[[str], None] = lambda _: None
    pace: Pace = field(default_factory=Pace, repr=False)
    _kept: WarmConnection | None = field(default=None, repr=False)

    def pending(self) -> list[Pending]:
        """What the tables do not hold yet, by day, the newest first."""
        return self._warm.read(marks.pending)

    def refresh(self, days: Collection[date] | None = None, within: float = float("inf")) -> Refreshed:
        """Take in every mark (of these days) that is there now, in transactions of a few seconds each.

        Every other transaction takes the newest hours first, so that neither the current hour nor a late one waits
        behind a backlog. Marks that come meanwhile may be taken in as well.

        Args:
            days: whose marks; None for all.
            within: seconds after which no further transaction begins.

        Raises:
            psycopg.Error: the database failed, also when it was tried again; what was committed stays.
        """
        began, done = time.monotonic(), Refreshed()
        self._follow_definitions()
        last = self._warm.read(marks.newest)
        while done.seconds < within and self._warm.read(lambda connection: marks.waiting(connection, last, days)):
            taken = self._refresh_once(days, newest_first=done.transactions % 2 == 0)
            if taken is None:
                break
            done = Refreshed(
                done.marks + taken.marks,
                done.events + taken.events,
                done.hours | taken.hours,
                time.monotonic() - began,
                done.transactions + 1,
            )
        return done

    def rebuild(
        self,
        low: datetime,
        high: datetime,
        tables: Collection[str] | None = None,
        progress: Progress = lambda _done, _total: None,
    ) -> Rebuilt:
        """Compute whole buckets from raw.events and correct what differs; what waits is taken in first.

        Args:
            low: inclusive; moved to a full hour. What is made by day is rebuilt for each day that the range touches.
            high: exclusive.
            tables: names of the catalog; None for all.
            progress: called with the events that are done and the events in all.

        Raises:
            ValueError: the range is empty or without time zone, or a table is unknown.
            psycopg.Error: the database failed, also when it was tried again; what was committed stays.
        """
        return rebuild(self, low, high, tables, progress)

    def fill(self, within: float = float("inf"), progress: Progress = lambda _done, _total: None) -> list[FillStep]:
        """Rebuild the days that tables lack, a week at a time, the newest first, and say which.

        Args:
            within: seconds after which no further week begins.
            progress: of each week, see `rebuild`.

        Raises:
            psycopg.Error: the database failed, also when it was tried again; what was committed stays, and is noted.
        """
        began, done = time.monotonic(), list[FillStep]()
        while time.monotonic() - began < within and (step := self.lacking()):
            self.rebuild(_midnight(step.first), _midnight(step.last) + timedelta(days=1), step.tables, progress)
            done.append(step)
        return done

    def lacking(self) -> FillStep | None:
        """What is filled next, behind the frontier of now nothing; None: every table is whole."""
        self._follow_definitions()
        return history.next_step(history.missing(self.history()))

    def history(self) -> dict[str, TableHistory]:
        """For which days tables are whole."""
        return self._warm.read(history.read)

    def note_made(self, known: Mapping[str, TableHistory], names: Collection[str], first: date, last: date) -> None:
        """Note that these days were rebuilt; `known` is what `history` said before they were."""

        def work(connection: Connection) -> None:
            connection.execute("begin")
            history.made(connection, known, names, first, last)
            self._commit(connection)

        if any(known[name].missing for name in names if name in known):
            self._try(work)

    @contextmanager
    def alone(self) -> Generator[Connection]:
        """Be the only writer of the aggregates, on a connection in autocommit mode; begin and commit on it yourself."""
        connection = self._connection()
        connection.execute("select pg_advisory_lock(%s)", (locks.AGGREGATES,))
        try:
            yield connection
        finally:
            rollback(connection)
            if not connection.closed:
                connection.execute("select pg_advisory_unlock(%s)", (locks.AGGREGATES,))

    def forget(self, connection: Connection, users: Sequence[str]) -> None:
        """Leave of users only what raw.events still holds, and repair what counted the rest.

        Args:
            connection: from `alone`, in a transaction in which events of the users were deleted from raw.events and put
                into the temporary table `gone` (see `prepare`). No mark that waits may stand for an event of theirs.
            users: their ids.
        """
        since = self.frontier(connection) or NEVER
        connection.execute("analyze gone")
        connection.execute(statement("earlier_of_users"), {"users": list(users), "frontier": since})
        connection.execute("analyze earlier")
        hourly.forget(connection, since)
        daily.forget(connection, since)
        sessions.forget(connection, users, self.frontier(connection))
        login_audit.forget(connection, users, self.audit)
        user_days.forget(connection, users, since, self.funnel)
        rollups.follow(connection, self.funnel)

    def prepare(self, connection: Connection) -> None:
        """Make the temporary tables that a transaction works on, once a connection; COMMIT empties them."""
        connection.execute(statement("stage"))

    def frontier(self, connection: Connection) -> datetime | None:
        """Raw events before it were dropped: nothing before it is computed from them again. None: nothing was."""
        found = connection.execute(
            "select frontier from ops.retention_frontier where frontier > '-infinity'"
        ).fetchone()
        return found[0] if found else None

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def frontier_now(self) -> datetime | None:
        """The frontier of this moment."""
        return self._warm.read(self.frontier)

    def events_by_hour(self, low: datetime, high: datetime) -> dict[datetime, int]:
        """Events of each hour of [low, high) that has any."""
        return self._warm.read(lambda connection: read_events_by_hour(connection, low, high))

    def days_with_rows(self, first: date, last: date) -> list[date]:
        """Days between these two, both included, that have events or rows of any aggregate."""
        return self._warm.read(lambda connection: read_days_with_rows(connection, first, last))

    def write(self, days: Collection[date], make: Callable[[Connection], Result]) -> Result:
        """Take in all that waits of some days and make something more, in one snapshot and one transaction."""

        def work(connection: Connection) -> Result:
            self._begin(connection)
            if days:
                self._take(connection, days, UNBOUNDED, newest_first=True)
            made = make(connection)
            self._commit(connection)
            return made

        return self._try(work)

    def _follow_definitions(self) -> None:
        """Before anything is written by a definition that a table is not made by yet: the days that it lacks."""
        if not self._warm.read(lambda connection: history.is_due(connection, self.funnel)):
            return

        def work(connection: Connection) -> None:
            connection.execute(_BEGIN)
            history.follow(connection, self.funnel)
            self.failpoint("definitions_before_commit")
            commit(connection)

        self._try(work)

    def _refresh_once(self, days: Collection[date] | None, *, newest_first: bool) -> NewEvents | None:
        def work(connection: Connection) -> NewEvents | None:
            began = time.monotonic()
            self._begin(connection)
            with ended_after(connection, self.longest):
                most = self.pace.bounds(self.events_per_transaction)
                taken = self._take(connection, days, most, newest_first=newest_first)
                self._commit(connection)
            self.pace.took(time.monotonic() - began)
            return taken

        return self._try(work, self.pace.failed)

    def _try(self, work: Callable[[Connection], Result], failed: Callable[[], None] = lambda: None) -> Result:
        """Do one transaction as the only writer; again if it failed for a reason that passes."""
        for tries in range(_TRIES):
            try:
                with self.alone() as connection:
                    return work(connection)
            except psycopg.Error as error:
                self._warm.failed(error)
                failed()
                timed_out = isinstance(error, psycopg.errors.QueryCanceled)
                if tries + 1 >= (_TIMED_OUT_TRIES if timed_out else _TRIES) or not is_transient(error):
                    raise
                time.sleep(0.1 * 2**tries)
        raise AssertionError

    def _begin(self, connection: Connection) -> None:
        self.prepare(connection)
        connection.execute(_BEGIN)

    def _commit(self, connection: Connection) -> None:
        self.failpoint("aggregates_before_commit")
        commit(connection)

    def _take(
        self, connection: Connection, days: Collection[date] | None, most: Bounds, *, newest_first: bool
    ) -> NewEvents | None:
        taken = marks.take(connection, days, most, newest_first=newest_first)
        if taken is not None:
            marks.settle(connection)  # first: what waits from here on is what no table is to hold after COMMIT
            self._merge_new_events(connection, taken)
        return taken

    def _merge_new_events(self, connection: Connection, taken: NewEvents) -> None:
        hourly.merge(connection, taken.low, taken.high)
        daily.merge(connection)
        self.failpoint("aggregates_half_way")
        sessions.merge(connection, self.frontier(connection))
        login_audit.merge(connection, self.audit)
        low, high = _whole_days(taken.low, taken.high)
        user_days.merge(connection, low, high, self.funnel)
        rollups.follow(connection, self.funnel)

    def _connection(self) -> Connection:
        return self._warm.connection()

    @property
    def _warm(self) -> WarmConnection:
        if self._kept is None:
            self._kept = WarmConnection(self.postgres, APPLICATION, prepare=lambda made: made.execute(_SESSION))
        return self._kept


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _whole_days(low: datetime, high: datetime) -> tuple[datetime, datetime]:
    start = low.replace(hour=0, minute=0, second=0, microsecond=0)
    end = (high - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return start, end
