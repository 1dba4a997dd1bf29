"""For which days each table is whole: what a table lacks since it was made, or since its definition changed.

What belongs here: ops.aggregate_history, and which days are filled next. What does not: filling them (`rebuild`), and
when a run is requested (`sensors.aggregate_history`).

A table lacks the days that had events when its definition was met first; of other days it takes in what comes, as every
table does. A day is noted as whole after the transactions that rebuilt it: from then on refreshes keep it so.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from psycopg.types.multirange import DateMultirange
from psycopg.types.range import DateRange

from assets.aggregates.catalog import AGGREGATES, FILLED
from assets.aggregates.funnel import Funnel
from assets.aggregates.sql import statement
from resources.postgres import Connection

_DAY = timedelta(days=1)
# Flags of a login follow from the user's earlier ones: days that are filled from the oldest on are judged once.
_OLDEST_FIRST = frozenset({"login_audit", "logins_hourly"})
# Made in the transaction that makes what they are made of, from the same events.
_AT_ONCE = frozenset({"logins_hourly"})
_FUNNEL = "; funnel "
_READ = "select name, definition, missing, since from ops.aggregate_history"
_FORGET = """
insert into ops.aggregate_history as h (name, definition, missing) values (%(name)s, %(definition)s, %(missing)s)
on conflict (name) do update set definition = excluded.definition, missing = excluded.missing, since = clock_timestamp()
"""
_MADE = """
update ops.aggregate_history as h set missing = h.missing - datemultirange(%(days)s::daterange)
where h.name = %(name)s and h.since = %(since)s and h.missing && %(days)s::daterange
    and not exists (select 1 from ops.aggregate_history as u where u.name = any(%(needs)s) and u.missing <> '{}')
"""
_FOLLOW_FUNNEL = """
update ops.aggregate_history as h set definition = %(definition)s, since = clock_timestamp(), missing = h.missing + (
    select coalesce(range_agg(daterange(f.day, f.day + 1)), '{}') from analytics.funnel_daily as f
    where f.definition is distinct from %(own)s
)
where h.name = 'funnel_daily'
"""
_TRIM = """
update ops.aggregate_history as h set missing = h.missing - datemultirange(daterange(null, %(day)s))
where h.missing && daterange(null, %(day)s)
"""


class FillStep(NamedTuple):
    """What is filled at once: tables, and days, both included."""

    tables: frozenset[str]
    first: date
    last: date


class TableHistory(NamedTuple):
    """A row of ops.aggregate_history."""

    definition: str
    missing: tuple[tuple[date, date], ...]
    since: datetime


Missing = Mapping[str, Sequence[tuple[date, date]]]
"""The ranges of days that tables lack, both ends included, in order; tables that lack none are left out."""


def needs(name: str) -> frozenset[str]:
    """The tables that one is made of, and those that these are made of."""
    direct = [table.rpartition(".")[2] for table in (*AGGREGATES[name].upstream, *AGGREGATES[name].beside)]
    found = {each for each in direct if each in FILLED}
    return frozenset(found.union(*(needs(each) for each in found)))


def definitions(funnel: Funnel) -> dict[str, str]:
    """What each table is made by."""
    made: dict[str, str] = {}
    for name in FILLED:
        parts = [str(AGGREGATES[name].version), *(f"{n} {AGGREGATES[n].version}" for n in sorted(needs(name)))]
        made[name] = "; ".join([*parts, f"funnel {funnel.definition}"] if name == "funnel_daily" else parts)
    return made


def read(connection: Connection) -> dict[str, TableHistory]:
    """What is known of each table."""
    found: Any = connection.execute(_READ).fetchall()
    return {name: TableHistory(text, _ranges(missing), since) for name, text, missing, since in found}


def stale(known: Mapping[str, TableHistory], funnel: Funnel) -> dict[str, str]:
    """The definitions of tables that are made by another one now, or of which nothing is known, and what they reach."""
    wanted = definitions(funnel)
    other = {name for name, text in wanted.items() if name not in known or known[name].definition != text}
    return {name: text for name, text in wanted.items() if name in other or needs(name) & other}


def is_due(connection: Connection, funnel: Funnel) -> bool:
    """Whether `follow` has anything to write."""
    frontier = _frontier(connection)
    known = read(connection)
    behind = frontier is not None and any(e.missing and e.missing[0][0] < frontier for e in known.values())
    return behind or bool(stale(known, funnel))


def follow(connection: Connection, funnel: Funnel) -> None:
    """Note that tables of another definition lack the days that have events; forget days behind the frontier.

    Args:
        connection: in a transaction of the only writer.
        funnel: of now.
    """
    known = read(connection)
    if other := stale(known, funnel):
        if "funnel_daily" in other and _only_the_funnel_changed(known, other):
            values = {"own": funnel.definition, "definition": other.pop("funnel_daily")}
            connection.execute(_FOLLOW_FUNNEL, values)
        days = [row[0] for row in connection.execute(statement("days_with_events"))] if other else []
        for name, text in other.items():
            missing = _multirange(days, AGGREGATES[name].reach)
            connection.execute(_FORGET, {"name": name, "definition": text, "missing": missing})
    frontier = _frontier(connection)
    if frontier is not None:
        connection.execute(_TRIM, {"day": frontier})


def _only_the_funnel_changed(known: Mapping[str, TableHistory], other: Mapping[str, str]) -> bool:
    """Then the rows themselves say which days another one made; not so where user_days lacks days, too."""
    found, text = known.get("funnel_daily"), other["funnel_daily"]
    same = found is not None and found.definition.partition(_FUNNEL)[0] == text.partition(_FUNNEL)[0]
    return same and not needs("funnel_daily") & other.keys()


def made(
    connection: Connection, known: Mapping[str, TableHistory], names: Iterable[str], first: date, last: date
) -> None:
    """Note that tables are whole on these days, unless one that they are made of is not, or they were forgotten since.

    Args:
        connection: in a transaction of the only writer.
        known: as it was before the first of these days was rebuilt.
        names: of the tables.
        first: the first day.
        last: the last day, included.
    """
    for name in [each for each in FILLED if each in names and each in known]:
        above = [] if name in _AT_ONCE else sorted(needs(name))
        days = DateRange(first, last + _DAY)
        values = {"name": name, "since": known[name].since, "days": days, "needs": above}
        connection.execute(_MADE, values)


def missing(known: Mapping[str, TableHistory]) -> Missing:
    """What tables lack, without those that lack nothing."""
    return {name: each.missing for name, each in known.items() if each.missing and name in FILLED}


def count(ranges: Iterable[tuple[date, date]]) -> int:
    """How many days there are in ranges."""
    return sum((last - first).days + 1 for first, last in ranges)


def lacking_tables(known: Mapping[str, TableHistory]) -> list[str]:
    """Which tables lack how many days, a text each; those of which nothing is known first."""
    unknown = [f"nothing is known of {name}" for name in FILLED if name not in known]
    return unknown + [
        f"{name} lacks {count(ranges)} days, {ranges[0][0]} to {ranges[-1][1]}"
        for name, ranges in missing(known).items()
    ]


def describe(known: Mapping[str, TableHistory]) -> str:
    """All of them in one text; empty where no table lacks a day."""
    return "; ".join(lacking_tables(known))


def next_step(lacking: Missing) -> FillStep | None:
    """A week, or what is missing of it, of the tables whose sources are whole: the newest; profiles all at once."""
    ready = [name for name in lacking if name in _AT_ONCE or not needs(name) & lacking.keys()]
    if not ready:
        return None
    if "user_profiles" in ready:
        return FillStep(frozenset({"user_profiles"}), lacking["user_profiles"][0][0], lacking["user_profiles"][-1][1])
    back = [name for name in ready if name not in _OLDEST_FIRST]
    at = max(lacking[name][-1][1] for name in back) if back else min(lacking[name][0][0] for name in ready)
    monday = at - at.weekday() * _DAY
    tables = frozenset(name for name in back or ready if _within(lacking[name], monday))
    days = [day for name in tables for day in _within(lacking[name], monday)]
    return FillStep(tables, min(days), max(days))


def _within(ranges: Sequence[tuple[date, date]], monday: date) -> list[date]:
    week = [monday + n * _DAY for n in range(7)]
    return [day for day in week if any(first <= day <= last for first, last in ranges)]


def _frontier(connection: Connection) -> date | None:
    """The first day whose events are there."""
    [[found]] = connection.execute(_FRONTIER).fetchall()
    return found


_FRONTIER = """
select max((frontier at time zone 'UTC')::date) from ops.retention_frontier where frontier > '-infinity'
"""


def _ranges(found: Iterable[Any]) -> tuple[tuple[date, date], ...]:
    return tuple((each.lower, each.upper - _DAY) for each in found)


def _multirange(days: Collection[date], reach: int) -> DateMultirange:
    """Each day with those that follow, up to `reach` in all."""
    joined: list[tuple[date, date]] = []
    for day in days:
        end = day + min(reach, (date.max - day).days) * _DAY
        joins = bool(joined) and day <= joined[-1][1]
        joined.append((joined.pop()[0] if joins else day, end))
    return DateMultirange([DateRange(low, high) for low, high in joined])
