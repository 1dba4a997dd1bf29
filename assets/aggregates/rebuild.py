"""Rebuilding a range: what is cut into which transactions, in which order.

What belongs here: the plan of a backfill, pure, and its execution on an `AggregateWriter`. What does not: how one
bucket is computed (`hourly`, `user_days`, `rollups`, `sessions`, `login_audit`).
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

from psycopg import sql
from sqlalchemy import Date

from assets.aggregates import daily, hourly, login_audit, per_user, rollups, sessions, user_days
from assets.aggregates.catalog import AGGREGATES, COUNTED, COUNTED_BY_DAY, REBUILDABLE, SUMMED_BY_USER
from assets.aggregates.drift import Drift
from assets.aggregates.history import TableHistory
from assets.aggregates.marks import DaysBetween
from assets.aggregates.sql import statement
from assets.periods import DAY, HOUR, TimeSpan, floor_hour
from resources.postgres import Connection

if TYPE_CHECKING:
    from assets.aggregates.writer import AggregateWriter

USERS_AT_ONCE = 20_000
Progress = Callable[[int, int], None]
"""Called with the events that are done and the events in all."""

_DAILY = frozenset({"user_days", "sessions", "login_audit", "logins_hourly", *(t.name for t in COUNTED_BY_DAY)})
_COUNTED = frozenset(each.name for each in COUNTED)
_ACTIVE = """
select distinct user_id from ops.user_days
where day >= %s and day < %s and user_id > %s order by user_id limit %s
"""
_NEXT_ROW = sql.SQL(
    "(select t.{time} as at from {table} as t where t.{time} >= f.low + interval '1 day' order by t.{time} limit 1)"
)
_NEXT_DAY = sql.SQL(
    "(select t.{time}::timestamptz as at from {table} as t where t.{time} > (f.low at time zone 'UTC')::date"
    " order by t.{time} limit 1)"
)


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did: rows and drift of each table, hours in all."""

    rows: dict[str, int] = field(default_factory=dict[str, int])
    drift: dict[str, int] = field(default_factory=dict[str, int])
    buckets: int = 0
    seconds: float = 0.0


def whole_hours(low: datetime, high: datetime) -> TimeSpan:
    """The bounds, moved outwards to full hours, UTC.

    Raises:
        ValueError: a bound has no time zone, or the range is empty.
    """
    if low.tzinfo is None or high.tzinfo is None:
        raise ValueError("the bounds of a rebuild need a time zone")
    if low >= high:
        raise ValueError("the range ends before it begins")
    low, high = low.astimezone(UTC), high.astimezone(UTC)
    end = floor_hour(high)
    return TimeSpan(floor_hour(low), end if end == high else end + HOUR)


def spans(low: datetime, high: datetime, events: Mapping[datetime, int], most: int) -> Iterator[tuple[TimeSpan, int]]:
    """Cut hours into spans that hold at most `most` events, or are one hour; each with the number of its events.

    Only hours that hold events are walked over: a range may reach over centuries of none.
    """
    full = {at + HOUR for at, here in events.items() if here > most}
    start, held = low, 0
    for at in sorted(at for at in {*events, *full} if low <= at < high):
        here = events.get(at, 0)
        if at > start and held + here > most:
            yield TimeSpan(start, at), held
            start, held = at, 0
        held += here
    if start < high:
        yield TimeSpan(start, high), held


def rebuild(
    aggregates: "AggregateWriter", low: datetime, high: datetime, tables: Collection[str] | None, progress: Progress
) -> Rebuilt:
    """See `AggregateWriter.rebuild`."""
    began = time.monotonic()
    chosen = REBUILDABLE if tables is None else frozenset(tables)
    unknown = chosen - REBUILDABLE
    if unknown:
        known = ", ".join(sorted(REBUILDABLE))
        raise ValueError(f"no such aggregate: {', '.join(sorted(unknown))}; there are {known}")
    low, high = whole_hours(low, high)
    frontier = aggregates.frontier_now()
    low = max(low, frontier) if frontier else low
    if low >= high:
        return Rebuilt(seconds=time.monotonic() - began)
    work = _Work(aggregates, chosen, low, high, progress)
    work.run()
    return Rebuilt(
        {name: d.rows for name, d in sorted(work.found.items())},
        {name: d.drift for name, d in sorted(work.found.items())},
        round((high - low) / HOUR),
        time.monotonic() - began,
    )


@dataclass
class _Work:
    aggregates: "AggregateWriter"
    chosen: frozenset[str]
    low: datetime
    high: datetime
    progress: Progress
    found: dict[str, Drift] = field(default_factory=dict[str, Drift])
    known: Mapping[str, TableHistory] = field(default_factory=dict[str, TableHistory])

    def run(self) -> None:
        """Day by day what is made of raw events; then what is made of these, for the whole range."""
        events = self.aggregates.events_by_hour(self.low, self.high)
        total, done = sum(events.values()), 0
        self.progress(0, total)
        self.aggregates.refresh(_and_beside(_days(self.low, self.high)))
        self.known = self.aggregates.history()
        for low, high in self._stretches():
            held = 0
            for span, expected in spans(low, high, events, self.aggregates.events_per_transaction):
                self._hours(span)
                held += expected
                self.progress(done + (held // 2 if self.chosen & _DAILY else held), total)
            if self.chosen & _DAILY:
                self._whole_day(low.date())
            self._made(low, high)
            done += held
            self.progress(done, total)
        self._made(self.low, self.high)  # days that have no rows were left out, and lack none
        self._rollups()

    def _made(self, low: datetime, high: datetime) -> None:
        """Tables by hour are whole on the days that lie in the range, those by day on all that it touches."""
        last = (high - HOUR).date()
        self.aggregates.note_made(self.known, self.chosen & _DAILY, low.date(), last)
        first = low.date() if low == _midnight(low.date()) else low.date() + DAY
        last = last if high == _midnight(high.date()) else last - DAY
        if first <= last:
            self.aggregates.note_made(self.known, self.chosen & _COUNTED, first, last)

    def _stretches(self) -> Iterator[tuple[datetime, datetime]]:
        """Days that have any row, where anything is made by day; else all at once."""
        if not self.chosen & _DAILY:
            yield self.low, self.high
            return
        for day in self.aggregates.days_with_rows(self.low.date(), (self.high - HOUR).date()):
            start = _midnight(day)
            yield max(start, self.low), min(start + DAY, self.high)

    def _hours(self, span: TimeSpan) -> None:
        tables = [each for each in COUNTED if each.name in self.chosen]

        def make(connection: Connection) -> list[tuple[str, Drift]]:
            low = self._thawed(connection, span.low)
            return [(t.name, hourly.rebuild(connection, t, low, span.high)) for t in tables if low < span.high]

        if tables:
            self._write(_days(span.low, span.high), make)

    def _whole_day(self, day: date) -> None:
        """With what waits of the days beside it: sessions reach over midnight."""
        self._write(_and_beside(DaysBetween(day, day)), lambda c: self._day(c, _midnight(day)))

    def _thawed(self, connection: Connection, low: datetime) -> datetime:
        """From where on a range may be computed in this transaction: the frontier may have moved since the start."""
        frontier = self.aggregates.frontier(connection)
        return low if frontier is None else max(low, frontier)

    def _day(self, connection: Connection, low: datetime) -> list[tuple[str, Drift]]:
        high = low + DAY
        if self._thawed(connection, low) > low:  # it is a midnight: this day is frozen
            return []
        found: list[tuple[str, Drift]] = []
        if "sessions" in self.chosen:
            frontier = self.aggregates.frontier(connection)
            found.append(("sessions", sessions.rebuild(connection, low, high, frontier=frontier)))
        if self.chosen & {"login_audit", "logins_hourly"}:
            drifts = login_audit.rebuild(connection, low, high, self.aggregates.audit)
            found += [(name, drift) for name, drift in drifts.items() if name in self.chosen]
        for table in COUNTED_BY_DAY:
            if table.name in self.chosen:
                found.append((table.name, daily.rebuild(connection, table, low, high)))
        if "user_days" in self.chosen:
            user_days.rebuild(connection, low, high, self.aggregates.funnel)
            found.append(("user_days", _user_days_drift(connection, low.date(), high.date())))
        if self.chosen & {"sessions", "user_days"}:
            rollups.follow(connection, self.aggregates.funnel)
        return found

    def _rollups(self) -> None:
        first, last = self.low.date(), (self.high - HOUR).date() + DAY
        by_user: dict[str, Callable[[Connection, list[str]], Drift]] = {
            "user_profiles": rollups.rebuild_profiles,
            **{each.name: partial(per_user.rebuild, each) for each in SUMMED_BY_USER},
        }
        for name, made in by_user.items():
            if name in self.chosen:
                self._users(first, last, name, made)
                self.aggregates.note_made(self.known, {name}, first, last - DAY)
        wanted: dict[str, Callable[[Connection], Drift]] = {
            "active_users_daily": lambda c: rollups.rebuild_active_users(c, first, last),
            "funnel_daily": lambda c: rollups.rebuild_funnel(c, first, last, self.aggregates.funnel),
            "retention_weekly": lambda c: rollups.rebuild_retention(c, first, last),
        }
        for name, counted in wanted.items():
            if name in self.chosen:
                self._write([], lambda c, name=name, counted=counted: [(name, counted(c))])
                self.aggregates.note_made(self.known, {name}, first, last - DAY)

    def _users(self, first: date, last: date, name: str, made: Callable[[Connection, list[str]], Drift]) -> None:
        """Some at a time, those who did anything in [first, last)."""
        after = ""
        while True:
            with self.aggregates.alone() as connection:
                users = [row[0] for row in connection.execute(_ACTIVE, (first, last, after, USERS_AT_ONCE))]
            if not users:
                return
            self._write([], lambda c, users=users: [(name, made(c, users))])
            after = users[-1]

    def _write(self, days: Collection[date], make: Callable[[Connection], list[tuple[str, Drift]]]) -> None:
        for name, drift in self.aggregates.write(days, make):
            self.found[name] = self.found.get(name, Drift()).plus(drift)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _days(low: datetime, high: datetime) -> DaysBetween:
    """The days that a range touches."""
    return DaysBetween(low.date(), (high - HOUR).date())


def _and_beside(days: DaysBetween) -> DaysBetween:
    """The days, and the days before and after them, as far as the calendar goes."""
    first = days.first - DAY if days.first > date.min else days.first
    last = days.last + DAY if days.last < date.max else days.last
    return DaysBetween(first, last)


def _user_days_drift(connection: Connection, low: date, high: date) -> Drift:
    [[rows]] = connection.execute(
        "select count(*) from ops.user_days where day >= %s and day < %s", (low, high)
    ).fetchall()
    [[drift]] = connection.execute("select count(*) from changes").fetchall()
    return Drift(rows, drift)


def read_days_with_rows(connection: Connection, first: date, last: date) -> list[date]:
    """Days between these two, both included, that have events or rows of any aggregate; the others need no rebuild."""
    query = statement("days_with_rows").decode().replace("%(next_rows)s", _next_rows().as_string())
    return [row[0] for row in connection.execute(query.encode(), {"first": first, "last": last})]


def _next_rows() -> sql.Composed:
    """Of the events and of each table that is made day by day the time of the first row after `f.low`'s day."""
    parts = [_NEXT_ROW.format(time=sql.Identifier("occurred_at"), table=sql.Identifier("raw", "events"))]
    for each in AGGREGATES.values():
        of_events = each.grain == "day" and "raw.events" in each.upstream
        if of_events or each.grain in {"minute", "hour", "session", "event"}:
            name = str(each.time_column)
            form = _NEXT_DAY if isinstance(each.columns[name].type, Date) else _NEXT_ROW
            time_column, table = sql.Identifier(name), sql.Identifier(each.schema, each.name)
            parts.append(form.format(time=time_column, table=table))
    return sql.SQL("({})").format(sql.SQL(" union all ").join(parts))


def read_events_by_hour(connection: Connection, low: datetime, high: datetime) -> dict[datetime, int]:
    """Events of each hour of [low, high) that has any, by the counts of the minutes."""
    return dict(connection.execute(statement("events_by_hour"), {"low": low, "high": high}).fetchall())
