"""Marks on what the aggregates do not hold yet: which there are, and the events that they stand for.

What belongs here: reading, choosing and deleting marks. What does not: writing them (`assets.ingest.ledger`), and
what is done with the events.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from psycopg import sql

from assets.aggregates.pace import Bounds
from assets.aggregates.plans import bounded, joined_by_hash
from assets.aggregates.sql import statement
from resources.postgres import Connection

_PENDING = """
select (hour at time zone 'UTC')::date as day, count(distinct hour), sum(events)::bigint, min(marked_at)
from ops.dirty_buckets group by 1 order by 1 desc
"""
_TAKEN = "select count(*), min(low), max(high), array_agg(distinct hour) from taken"
_WAITING = """
select exists (select 1 from ops.dirty_buckets where mark_id <= {last} and {days})
"""
WAITS = """
exists (
    select 1 from ops.dirty_buckets as d
    where d.hour = date_trunc('hour', r.occurred_at, 'UTC') and (
        r.event_id = any(d.event_ids)
        or exists (
            select 1 from ops.batch_ranges as b
            where b.batch_id = d.batch_id and b.topic_id = r.kafka_topic_id and b.partition = r.kafka_partition
                and b.start_offset <= r.kafka_offset and b.end_offset > r.kafka_offset
        )
    )
)
"""
"""Whether event `r` of raw.events waits: a condition, for few events."""
_WHICH = "where {days} order by {order} limit {marks}"


@dataclass(frozen=True)
class Pending:
    """What waits of one day: hours touched, events, and since when its oldest mark waits."""

    day: date
    hours: int
    events: int
    oldest: datetime


@dataclass(frozen=True)
class DaysBetween(Collection[date]):
    """All days from the first to the last, both included: as cheap for two thousand years as for one day."""

    first: date
    last: date

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def __iter__(self) -> Iterator[date]:
        return (date.fromordinal(n) for n in range(self.first.toordinal(), self.last.toordinal() + 1))

    def __len__(self) -> int:
        return max(0, self.last.toordinal() - self.first.toordinal() + 1)


class NewEvents(NamedTuple):
    """What `arrived` holds: how many events of how many marks, their hours, and bounds of occurred_at."""

    marks: int
    events: int
    hours: frozenset[datetime]
    low: datetime
    high: datetime


def pending(connection: Connection) -> list[Pending]:
    """What waits, by day, the newest first."""
    return [Pending(*row) for row in connection.execute(_PENDING)]


def newest(connection: Connection) -> int:
    """The number of the newest mark; 0 without any."""
    [[found]] = connection.execute("select coalesce(max(mark_id), 0) from ops.dirty_buckets").fetchall()
    return found


def waiting(connection: Connection, last: int, days: Collection[date] | None) -> bool:
    """Whether any mark up to `last` is left, of these days or of all."""
    [[found]] = connection.execute(sql.SQL(_WAITING).format(last=last, days=_of(days))).fetchall()
    return found


def take(
    connection: Connection, days: Collection[date] | None, most: Bounds, *, newest_first: bool
) -> NewEvents | None:
    """Choose marks and fill `arrived` with their events; None when no mark is left.

    Of each hour the marks are taken in the order of their numbers: an event that was stored later under an offset of an
    earlier batch (a dead letter redriven, say) has the later mark.

    Args:
        connection: in a REPEATABLE READ transaction of the only writer.
        days: whose marks; None for all.
        most: events, marks and hours at once; one mark at least.
        newest_first: the newest hours first, or in the order of arrival.
    """
    _choose(connection, days, most, newest_first=newest_first)
    [[count, low, high, hours]] = connection.execute(_TAKEN).fetchall()
    if not count:
        return None
    connection.execute("analyze taken")
    with joined_by_hash(connection):
        connection.execute(statement("spans"))
    connection.execute("analyze spans; analyze listed")
    high += timedelta(microseconds=1)
    with joined_by_hash(connection):
        events = connection.execute(bounded("arrived", low, high)).rowcount
    connection.execute("analyze arrived")
    return NewEvents(count, events, frozenset(hours), low, high)


def _choose(connection: Connection, days: Collection[date] | None, most: Bounds, *, newest_first: bool) -> None:
    order = sql.SQL("hour desc, mark_id" if newest_first else "mark_id")
    wanted = sql.SQL(_WHICH).format(days=_of(days), order=order, marks=most.marks)
    bounds = {"events": most.events, "hours": most.hours, "newest_first": newest_first}
    text = statement("take_marks").decode().replace("-- which", wanted.as_string(connection).replace("%", "%%"))
    connection.execute(text.encode(), bounds)


def _of(days: Collection[date] | None) -> sql.Composable:
    if days is None:
        return sql.SQL("true")
    if isinstance(days, DaysBetween):
        return sql.SQL("(hour at time zone 'UTC')::date between {} and {}").format(days.first, days.last)
    return sql.SQL("(hour at time zone 'UTC')::date = any({})").format([*days])


def settle(connection: Connection) -> None:
    """Delete the marks that were taken."""
    connection.execute("delete from ops.dirty_buckets as m using taken as t where m.mark_id = t.mark_id")
