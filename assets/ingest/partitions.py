"""Day partitions of raw.events: which there are, and the making of those that a chunk needs.

What belongs here: names, bounds, creation. What does not: dropping old ones (retention).
A partition is made by itself and then attached: `create table ... partition of` would lock readers out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import psycopg
from psycopg import sql

from assets.ingest.sql import statement
from resources import locks
from resources.postgres import Connection

_DAYS_AHEAD = 7
_DAY_MICROS = 86_400 * 1_000_000
_FIRST_DAY = """
select pg_get_expr(relpartbound, oid) from pg_class where oid = 'raw.events_old'::regclass
"""
_DETACHED = r"""
select c.oid::regclass::text
from pg_class as c left join pg_inherits as i on i.inhrelid = c.oid
where c.relnamespace = 'raw'::regnamespace and c.relkind = 'r' and c.relname ~ '^events_\d{8}$'
    and (i.inhrelid is null or i.inhdetachpending)
order by c.relname
"""
_EXISTING = """
select c.relname from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
where i.inhparent = 'raw.events'::regclass
"""


def day_of(micros: int) -> date:
    """The UTC day of a time in microseconds since 1970."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + micros // _DAY_MICROS)


def frontier(connection: Connection) -> int | None:
    """Where the frontier of retention is, in microseconds since 1970; None without one."""
    row = connection.execute(statement("frontier")).fetchone()
    return int(row[0]) if row else None


def detached(connection: Connection) -> list[str]:
    """Partitions on their way out: no part of raw.events any more, and their rows not recorded as deleted yet."""
    return [str(name) for (name,) in connection.execute(_DETACHED)]


def on_table(query: bytes, table: str) -> bytes:
    """A statement about raw.events, made to ask one of the tables that `detached` named."""
    return query.replace(b"raw.events", table.encode())


@dataclass
class Partitions:
    """What is known of the partitions; asked again after `forget`."""

    first_day: date = date.max
    days: set[date] = field(default_factory=set[date])

    def forget(self) -> None:
        """Ask the catalog again next time: a partition that was known is gone."""
        self.days.clear()

    def ensure(self, connection: Connection, occurred: Iterable[int], today: date) -> None:
        """Make the partitions of the given times (microseconds since 1970) and of the days ahead, where missing.

        Must not be called inside a transaction: what is made here stays even if the chunk is rolled back.
        """
        if not self.days:
            self._read(connection)
        wanted = {day_of(m * _DAY_MICROS) for m in {micros // _DAY_MICROS for micros in occurred}}
        ahead = {today + timedelta(days=n) for n in range(_DAYS_AHEAD + 1)}
        if not {today, today + timedelta(days=1)} <= self.days:
            wanted |= ahead
        missing = sorted(day for day in wanted - self.days if day >= self.first_day)
        if missing and (before := frontier(connection)) is not None:
            # What was dropped stays dropped: nothing is stored there any more.
            missing = [day for day in missing if day >= day_of(before)]
        if missing:
            self._make(connection, missing)

    def groups(self, occurred: Iterable[int]) -> list[tuple[datetime | None, datetime]]:
        """Bounds of the partitions that hold the given times, in order; None for everything before the first day."""
        days = {day_of(m * _DAY_MICROS) for m in {micros // _DAY_MICROS for micros in occurred}}
        groups: list[tuple[datetime | None, datetime]] = []
        if any(day < self.first_day for day in days):
            groups.append((None, _midnight(self.first_day)))
        recent = sorted(day for day in days if day >= self.first_day)
        return groups + [(_midnight(day), _midnight(day + timedelta(days=1))) for day in recent]

    def _read(self, connection: Connection) -> None:
        bound = connection.execute(_FIRST_DAY).fetchone()
        match = re.search(r"TO \('(\d{4}-\d{2}-\d{2})", str(bound[0] if bound else ""))
        if match is None:
            raise RuntimeError("raw.events has no partition events_old; run `millrace migrate`")
        self.first_day = date.fromisoformat(match[1])
        names = [str(row[0]) for row in connection.execute(_EXISTING)]
        self.days = {datetime.strptime(n[7:], "%Y%m%d").date() for n in names if re.fullmatch(r"events_\d{8}", n)}  # noqa: DTZ007

    def _make(self, connection: Connection, days: list[date]) -> None:
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", (locks.PARTITIONS,))
            self._read(connection)
            for day in days:
                if day not in self.days:
                    _attach(connection, day)
        self.days |= set(days)


def _attach(connection: psycopg.Connection[tuple[object, ...]], day: date) -> None:
    name = sql.Identifier("raw", f"events_{day:%Y%m%d}")
    start, end = sql.Literal(_midnight(day).isoformat()), sql.Literal(_midnight(day + timedelta(days=1)).isoformat())
    connection.execute(sql.SQL("create table {} (like raw.events including all)").format(name))
    connection.execute(
        sql.SQL("alter table raw.events attach partition {} for values from ({}) to ({})").format(name, start, end)
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
