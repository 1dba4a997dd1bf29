"""Marks on what the aggregates do not hold yet: which there are, and the events that they stand for.

The marks are a log, and each group of tables is a consumer of it: ops.taken_marks says which marks a group has taken
in. A mark is deleted when the last group has.

What belongs here: reading, choosing, taking and deleting marks. What does not: writing them (`assets.ingest.ledger`),
and what is done with the events.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import LiteralString, NamedTuple, get_args

from psycopg import sql

from assets.aggregates.declare import Group
from assets.aggregates.pace import Bounds
from assets.aggregates.plans import bounded, joined_by_hash
from assets.aggregates.sql import statement
from resources import locks
from resources.postgres import Connection

_PENDING = """
select (hour at time zone 'UTC')::date as day, count(distinct hour), sum(events)::bigint, min(marked_at)
from ops.dirty_buckets group by 1 order by 1 desc
"""
_NEWEST = """
select coalesce(max(mark_id), 0) from ops.dirty_buckets where marked_at <= clock_timestamp() - %s * interval '1 second'
"""
_TAKEN = "select array_agg(mark_id), sum(events)::bigint, array_agg(distinct hour), min(low), max(high) from taken"
_WAITING = """
select exists (
    select 1 from unnest({groups}::text[]) as g (consumer) cross join ops.dirty_buckets as d
    where d.mark_id <= {last} and {days}
        and not exists (select 1 from ops.taken_marks as m where m.consumer = g.consumer and m.mark_id = d.mark_id)
)
"""
# Marks that one group has taken are few: those of a moment in which others failed, were killed, or were on workers of
# their own.
_BEHIND = """
select g.consumer from unnest({groups}::text[]) with ordinality as g (consumer, nth)
where exists (
    select 1 from ops.taken_marks as o inner join ops.dirty_buckets as d on d.mark_id = o.mark_id
    where o.consumer = any({groups}) and {days}
        and not exists (select 1 from ops.taken_marks as m where m.consumer = g.consumer and m.mark_id = o.mark_id)
)
order by g.nth limit 1
"""
# The marks on the hours are read once, however many events there are: of a backlog thousands are on one hour.
_SETTLED = """,
waiting as materialized (
    select h.hour, d.batch_id, d.event_ids
    from (select distinct t.hour from there as t) as h
    cross join lateral (
        select w.batch_id, w.event_ids from ops.dirty_buckets as w
        where w.hour = h.hour
            and not exists (select 1 from ops.taken_marks as m where m.consumer = '%(group)s' and m.mark_id = w.mark_id)
        offset 0
    ) as d
),
waiting_offsets as materialized (
    select w.hour, b.topic_id, b.partition, range_agg(int8range(b.start_offset, b.end_offset)) as offsets
    from waiting as w inner join ops.batch_ranges as b on w.batch_id = b.batch_id
    group by w.hour, b.topic_id, b.partition
),
waiting_ids as materialized (select unnest(w.event_ids) as event_id from waiting as w),
settled as (
    select t.* from there as t
    where t.event_id not in (select i.event_id from waiting_ids as i)
        and not exists (
            select 1 from waiting_offsets as w
            where w.hour = t.hour and w.topic_id = t.kafka_topic_id and w.partition = t.kafka_partition
                and t.kafka_offset <@ w.offsets
        )
)
"""
_WHICH = """
where {days} and {before}
    and not exists (select 1 from ops.taken_marks as m where m.consumer = any({groups}) and m.mark_id = w.mark_id)
order by {order} limit {marks}
"""
_BEFORE = "exists (select 1 from ops.taken_marks as b where b.consumer = any({groups}) and b.mark_id = w.mark_id)"
_SETTLE = """
insert into ops.taken_marks (consumer, mark_id) select g.consumer, t.mark_id from taken as t
cross join unnest(%s::text[]) as g (consumer)
"""
_SETTLE_ALL = "delete from ops.dirty_buckets where mark_id in (select t.mark_id from taken as t)"
# Whoever takes a mark last may not see that it is the last: both commit at once. So it is done after COMMIT, or by the
# only writer, in one statement that nobody else executes meanwhile.
_DROP = """
with done as (
    delete from ops.taken_marks where mark_id in (
        select mark_id from ops.taken_marks where {these} group by mark_id having count(*) = {groups}
    )
    returning mark_id
)
delete from ops.dirty_buckets where mark_id in (select mark_id from done)
"""
_CLEAR = """
select format('truncate %s', string_agg(t.oid::regclass::text, ', ' order by t.oid)) from pg_class as t
where t.relnamespace = pg_my_temp_schema() and t.relkind = 'r'
"""
_ONLY: dict[Group, dict[str, LiteralString]] = {"security": {"-- only": "and r.type in ('login', 'logout')"}}
GROUPS: tuple[Group, ...] = get_args(Group)
"""The groups of tables, each a consumer of the marks."""


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
    """What `arrived` holds: of which marks, how many events these stand for, hours, and bounds of occurred_at."""

    marks: list[int]
    events: int
    hours: frozenset[datetime]
    low: datetime
    high: datetime


def pending(connection: Connection) -> list[Pending]:
    """What waits, by day, the newest first."""
    return [Pending(*row) for row in connection.execute(_PENDING)]


def newest(connection: Connection, seconds: float = 0.0) -> int:
    """The number of the newest mark, or of the newest that is as old as this; 0 without any."""
    [[found]] = connection.execute(_NEWEST, (seconds,)).fetchall()
    return found


def waiting(connection: Connection, groups: Sequence[Group], last: int, days: Collection[date] | None) -> bool:
    """Whether any mark up to `last` waits for one of these groups, of these days or of all."""
    asked = sql.SQL(_WAITING).format(groups=[*groups], last=last, days=_of(days))
    [[found]] = connection.execute(asked).fetchall()
    return found


def behind(connection: Connection, groups: Sequence[Group], days: Collection[date] | None) -> Group | None:
    """The first group that lacks marks, of these days or of all, which another one of these groups has taken."""
    if len(groups) == 1:
        return None
    found = connection.execute(sql.SQL(_BEHIND).format(groups=[*groups], days=_of(days))).fetchone()
    return found[0] if found else None


def settled(group: Group) -> LiteralString:
    """The last part of a WITH: `settled`, the rows of `there` without the events that wait for a group.

    `there` has event_id, hour, kafka_topic_id, kafka_partition, kafka_offset, and whatever else. It is compared with
    one row for each of its hours and Kafka partitions, however many marks there are.
    """
    return _SETTLED.replace("%(group)s", group)


def take(
    connection: Connection,
    groups: Sequence[Group],
    days: Collection[date] | None,
    most: Bounds,
    *,
    newest_first: bool,
    before: Sequence[Group] = (),
) -> NewEvents | None:
    """Choose marks and fill `arrived` with their events, those that concern the groups; None when no mark is left.

    Of each hour the marks are taken in the order of their numbers: an event that was stored later under an offset of an
    earlier batch (a dead letter redriven, say) has the later mark.

    Args:
        connection: in a REPEATABLE READ transaction of the groups' only writer.
        groups: none of which has taken them yet; no other marks on their hours wait for only some of these.
        days: whose marks; None for all.
        most: events, marks and hours at once; one mark at least.
        newest_first: the newest hours first, or in the order of arrival.
        before: only marks that one of these groups has taken.
    """
    _choose(connection, groups, days, most, newest_first=newest_first, before=before)
    [[numbers, events, hours, low, high]] = connection.execute(_TAKEN).fetchall()
    if not numbers:
        return None
    connection.execute("analyze taken")
    with joined_by_hash(connection):
        # The same marks wait for all of them: so the first one stands for all.
        connection.execute(statement("spans").replace(b"%(group)s", f"'{groups[0]}'".encode()))
    connection.execute("analyze spans; analyze listed")
    high += timedelta(microseconds=1)
    only = _ONLY.get(groups[0], {}) if len(groups) == 1 else {}
    with joined_by_hash(connection):
        connection.execute(bounded("arrived", low, high, only))
    connection.execute("analyze arrived")
    return NewEvents(numbers, events, frozenset(hours), low, high)


def _choose(
    connection: Connection,
    groups: Sequence[Group],
    days: Collection[date] | None,
    most: Bounds,
    *,
    newest_first: bool,
    before: Sequence[Group],
) -> None:
    order = sql.SQL("hour desc, mark_id" if newest_first else "mark_id")
    taken = sql.SQL(_BEFORE).format(groups=[*before]) if before else sql.SQL("true")
    wanted = sql.SQL(_WHICH).format(groups=[*groups], before=taken, days=_of(days), order=order, marks=most.marks)
    bounds = {"events": most.events, "hours": most.hours, "newest_first": newest_first}
    text = statement("take_marks").decode().replace("-- which", wanted.as_string(connection).replace("%", "%%"))
    connection.execute(text.encode(), bounds)


def _of(days: Collection[date] | None) -> sql.Composable:
    if days is None:
        return sql.SQL("true")
    if isinstance(days, DaysBetween):
        return sql.SQL("(hour at time zone 'UTC')::date between {} and {}").format(days.first, days.last)
    return sql.SQL("(hour at time zone 'UTC')::date = any({})").format([*days])


def settle(connection: Connection, groups: Sequence[Group]) -> None:
    """Note that groups have taken the marks that were chosen: in the transaction that adds their events."""
    if len(groups) == len(GROUPS):
        connection.execute(_SETTLE_ALL)
    else:
        connection.execute(_SETTLE, (groups,))


def drop(connection: Connection, numbers: Collection[int] | None = None) -> None:
    """Delete marks that every group has taken: of these, or of all."""
    these = sql.SQL("true") if numbers is None else sql.SQL("mark_id = any({}::bigint[])").format([*numbers])
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (locks.MARKS,))
        connection.execute(sql.SQL(_DROP).format(these=these, groups=len(GROUPS)))


def clear(connection: Connection) -> None:
    """Empty all temporary tables, as COMMIT would: for a transaction that goes on after it took marks in."""
    [[truncate]] = connection.execute(_CLEAR).fetchall()
    connection.execute(truncate)
