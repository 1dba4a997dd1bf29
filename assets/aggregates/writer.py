"""The aggregates' writer: takes marks in, rebuilds ranges, forgets users.

What belongs here: what each group of tables makes of new events, and what is done to all tables at once. What does not:
locks and tries (`exclusive`), how groups take marks in side by side (`consumers`), SQL and what a table holds.

The rule that it keeps: a table is what its definition makes of raw.events without the events of marks that wait for its
group. Who takes marks in writes one group of tables, beside the writers of other groups; whoever changes all of them,
or computes them anew, is alone.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from assets.aggregates import daily, history, hourly, login_audit, marks, rollups, sessions, user_days
from assets.aggregates.consumers import Consumer, Merge, Taken, consumers, side_by_side, take_all
from assets.aggregates.declare import Group
from assets.aggregates.exclusive import ExclusiveSession, Result, begin
from assets.aggregates.funnel import Funnel
from assets.aggregates.funnel_file import read
from assets.aggregates.history import FillStep, TableHistory
from assets.aggregates.login_audit import AuditRules
from assets.aggregates.marks import DaysBetween, NewEvents, Pending
from assets.aggregates.pace import LONGEST_SECONDS
from assets.aggregates.rebuild import Progress, Rebuilt, read_days_with_rows, read_events_by_hour, rebuild
from assets.aggregates.sql import statement
from resources import locks
from resources.postgres import Connection, Postgres, WarmConnection, commit

NEVER = datetime(1, 1, 1, tzinfo=UTC)
_GOES_ON_SECONDS = 20.0  # what a run did is shown in Dagster when it ends
_OLD_SECONDS = 2.0


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did, by group of tables; `marks`, `events` and `hours` are of the group that took most in."""

    by_group: Mapping[Group, Taken] = field(default_factory=dict[Group, Taken])
    seconds: float = 0.0

    @property
    def marks(self) -> int:
        """How many were taken in."""
        return max((each.marks for each in self.by_group.values()), default=0)

    @property
    def events(self) -> int:
        """How many were taken in."""
        return max((each.events for each in self.by_group.values()), default=0)

    @property
    def hours(self) -> frozenset[datetime]:
        """In which they occurred."""
        return frozenset[datetime]().union(*(each.hours for each in self.by_group.values()))

    @property
    def transactions(self) -> int:
        """Of all groups."""
        return sum(each.transactions for each in self.by_group.values())


@dataclass
class AggregateWriter:
    """The aggregates of one database. Opens its connections at first use and keeps them.

    Attributes:
        postgres: the database.
        funnel: the definition of funnel_daily.
        audit: when a login is unusual.
        workers: how many transactions take events in at once; fewer than groups of tables: some groups share one.
        events_per_transaction: at most.
        longest: seconds after which a transaction of a refresh is cancelled, and tried again with less.
        failpoint: called with the names of places where tests stop it.
    """

    postgres: Postgres
    funnel: Funnel = field(default_factory=read)
    audit: AuditRules = field(default_factory=AuditRules)
    workers: int = 1
    events_per_transaction: int = 200_000
    longest: float = LONGEST_SECONDS
    failpoint: Callable[[str], None] = lambda _: None

    def pending(self) -> list[Pending]:
        """What some group of tables does not hold yet, by day, the newest first."""
        return self._warm.read(marks.pending)

    def refresh(self, days: Collection[date] | None = None, within: float = float("inf")) -> Refreshed:
        """Take in every mark (of these days) that is there now, in transactions of a few seconds each.

        Groups of tables do so side by side or in one transaction, as workers are there. Marks that come meanwhile may
        be taken in as well; where events come faster than a run ends, the refresh goes on for a while, because the next
        one would need a second or two to begin.

        Args:
            days: whose marks; None for all.
            within: seconds after which no further transaction begins.

        Raises:
            psycopg.Error: the database failed, also when it was tried again; what was committed stays.
        """
        began = time.monotonic()
        self._follow_definitions()
        for each in self._all_consumers():
            each.taken.clear()
        last = self._warm.read(marks.newest)
        while any(each.waits(days, last) for each in self.consumers):
            self._take_in(days, last, began + within)
            if time.monotonic() - began > min(within, _GOES_ON_SECONDS):
                break
            last = self._warm.read(lambda connection: marks.newest(connection, _OLD_SECONDS))
        self._warm.read(marks.drop)  # what a process left that was killed between its COMMIT and this
        return Refreshed(self._taken(), time.monotonic() - began)

    def _take_in(self, days: Collection[date] | None, last: int, until: float) -> None:
        def step(consumer: Consumer) -> NewEvents | None:
            return consumer.take(days, self.events_per_transaction, self.longest, self.failpoint)

        def goes_on() -> bool:
            return time.monotonic() < until

        side_by_side(
            self.consumers,
            self.workers,
            step,
            is_behind=lambda each: goes_on() and each.waits(days, last),
            has_more=lambda each: goes_on() and each.waits(days, None),
        )

    def settle(self) -> None:
        """Take in every mark; the last ones for all groups in one transaction, so that no group is ahead of another.

        Raises:
            psycopg.Error: see `refresh`.
        """
        self.refresh()
        self.write(DaysBetween(date.min, date.max), lambda _: None)

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
            self._alone.transact(work)

    def alone(self) -> AbstractContextManager[Connection]:
        """Be the only writer of all tables, on a connection in autocommit mode; begin and commit on it yourself."""
        return self._alone.held()

    def forget(self, connection: Connection, users: Sequence[str]) -> None:
        """Leave of users only what raw.events still holds, and repair what counted the rest.

        Args:
            connection: from `alone`, in a transaction in which events of the users were deleted from raw.events and put
                into the temporary table `gone`. No mark that waits may stand for an event of theirs.
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

    def frontier(self, connection: Connection) -> datetime | None:
        """Raw events before it were dropped: nothing before it is computed from them again. None: nothing was."""
        found = connection.execute(
            "select frontier from ops.retention_frontier where frontier > '-infinity'"
        ).fetchone()
        return found[0] if found else None

    def close(self) -> None:
        """Close the connections; the next use opens others."""
        for each in (self._alone, *(consumer.session for consumer in self._all_consumers())):
            each.close()

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
            begin(connection)
            if days:
                take_all(connection, self._merges, days)
            made = make(connection)
            self._commit(connection)
            return made

        return self._alone.transact(work)

    @cached_property
    def consumers(self) -> Sequence[Consumer]:
        """The groups of tables by worker."""
        return consumers(self.postgres, self._merges, self.workers)

    def _all_consumers(self) -> list[Consumer]:
        return [each for consumer in self.consumers for each in consumer.all()]

    def _taken(self) -> dict[Group, Taken]:
        """What each group took in since the refresh began."""
        found = dict.fromkeys(self._merges, Taken())
        for consumer in self._all_consumers():
            for group, taken in consumer.taken.items():
                found[group] += taken
        return found

    def _follow_definitions(self) -> None:
        """Before anything is written by a definition that a table is not made by yet: the days that it lacks."""
        if not self._warm.read(lambda connection: history.is_due(connection, self.funnel)):
            return

        def work(connection: Connection) -> None:
            connection.execute("begin isolation level repeatable read")
            history.follow(connection, self.funnel)
            self.failpoint("definitions_before_commit")
            commit(connection)

        self._alone.transact(work)

    def _commit(self, connection: Connection) -> None:
        self.failpoint("aggregates_before_commit")
        commit(connection)

    @property
    def _merges(self) -> Mapping[Group, Merge]:
        """What each group of tables makes of new events."""
        return {"hourly": self._count, "users": self._follow_users, "security": self._follow_logins}

    def _count(self, connection: Connection, taken: NewEvents) -> None:
        hourly.merge(connection, taken.low, taken.high)
        daily.merge(connection)

    def _follow_users(self, connection: Connection, taken: NewEvents) -> None:
        sessions.merge(connection, self.frontier(connection))
        low, high = _whole_days(taken.low, taken.high)
        user_days.merge(connection, low, high, self.funnel)
        rollups.follow(connection, self.funnel)

    def _follow_logins(self, connection: Connection, _: NewEvents) -> None:
        login_audit.merge(connection, self.audit)

    @cached_property
    def _alone(self) -> ExclusiveSession:
        return ExclusiveSession(self.postgres, [locks.AGGREGATES])

    @property
    def _warm(self) -> WarmConnection:
        return self._alone.warm


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _whole_days(low: datetime, high: datetime) -> tuple[datetime, datetime]:
    start = low.replace(hour=0, minute=0, second=0, microsecond=0)
    end = (high - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return start, end
