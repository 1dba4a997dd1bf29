"""What is shown of a table in Dagster's user interface: its newest rows, a small plot, its size.

What belongs here: which rows, in which order. What does not: their look (`markdown`), and when it is shown
(`asset_metadata`). Cheap whatever the table holds: every query follows an index and stops after a few rows.

Ids, addresses and every text that a producer sent are left out: Dagster keeps what it is shown, and an erased user must
not live on in it, nor in the name of a page. What is shown is figures, times, and words of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, LiteralString

from psycopg import sql
from sqlalchemy import Boolean, Date, DateTime, Integer, Interval, Numeric

from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.markdown import bars, markdown_table, spark, text_of
from infra.postgres.tables import metadata
from resources.postgres import Connection

_OUR_WORDS = frozenset({"type", "action", "flags", "name"})  # of the contract, the audit's rules, the funnel's file
# Below every table of rows: who wonders where the pages are, and the erasure, which knows by it what is not of today.
WITHOUT_TEXTS = "Ids and texts of producers are in the table alone."
_NO_TEXT = (Boolean, Date, DateTime, Integer, Interval, Numeric)
_ROWS = 10
_COUNTED = 10_000  # a table of fewer rows is counted, of a larger one the estimate is shown


@dataclass(frozen=True)
class PreviewSpec:
    """How a table is shown.

    `order` is that of its newest rows, which an index gives; `rows` bounds them where none does. `measure` is plotted
    over the last `points` steps of its time column, where its course says something.
    """

    order: LiteralString
    rows: LiteralString = "true"
    measure: LiteralString | None = None
    step: timedelta = timedelta(hours=1)
    points: int = 24


SHOWN: Mapping[str, PreviewSpec] = MappingProxyType(
    {
        "events_minutely": PreviewSpec("minute desc, type", measure="events", step=timedelta(minutes=1), points=60),
        "events_hourly": PreviewSpec("hour desc, type", measure="events"),
        "pages_hourly": PreviewSpec("hour desc, views desc"),
        "referrers_hourly": PreviewSpec("hour desc, views desc"),
        "buttons_hourly": PreviewSpec("hour desc, clicks desc"),
        "forms_hourly": PreviewSpec("hour desc, submits desc"),
        "user_days": PreviewSpec("day desc"),
        "active_users_daily": PreviewSpec("day desc", measure="dau", step=timedelta(days=1), points=28),
        "sessions": PreviewSpec("started_at desc"),
        # No index gives the newest profiles: those of the newest sessions' users stand for them.
        "user_profiles": PreviewSpec(
            "last_seen_at desc",
            rows="user_id in (select user_id from analytics.sessions order by started_at desc limit 10)",
        ),
        "retention_weekly": PreviewSpec("cohort_week desc, week desc"),
        "funnel_daily": PreviewSpec("day desc, step"),
        "login_audit": PreviewSpec("occurred_at desc, event_id"),
        "logins_hourly": PreviewSpec("hour desc", measure="logins + logouts"),
    }
)


_FEW = "select count(*) from (select 1 from {table} limit {limit}) as few"
_ESTIMATE = "select n_live_tup from pg_stat_user_tables where relid = %s::regclass"
_NEWEST_ROWS = "select {columns} from {table} where {rows} order by {order} limit {limit}"
_NEWEST = "select max({time}) from {table} where {rows}"
_COURSE = "select {time}, sum({measure}) from {table} where {time} >= {first} group by 1"
_FUNNEL = """
select name, users from analytics.funnel_daily
where day = (select max(day) from analytics.funnel_daily) order by step
"""


def row_count(connection: Connection, name: str) -> int:
    """How many rows the table has: exact for a small one, PostgreSQL's estimate for a large one."""
    [[few]] = _rows(connection, name, _FEW, limit=sql.Literal(_COUNTED))
    if few < _COUNTED:
        return int(few)
    found = connection.execute(_ESTIMATE, [AGGREGATES[name].table]).fetchone()
    return max(int(found[0]) if found else 0, int(few))


def newest_rows(connection: Connection, name: str) -> str:
    """The newest rows as a Markdown table, without what may be personal."""
    columns = shown_columns(name)
    chosen = sql.SQL(", ").join(map(sql.Identifier, columns))
    order = sql.SQL(SHOWN[name].order)
    rows = _rows(connection, name, _NEWEST_ROWS, columns=chosen, order=order, limit=sql.Literal(_ROWS))
    return (markdown_table(columns, rows) if rows else "no rows yet") + f"\n\n{WITHOUT_TEXTS}"


def shown_columns(name: str) -> list[str]:
    """The columns that hold no text of a producer's, whatever the table is: what is not known is left out."""
    every = metadata.tables[AGGREGATES[name].table].columns
    return [c.name for c in every if isinstance(c.type, _NO_TEXT) or c.name in _OUR_WORDS]


def newest(connection: Connection, name: str) -> date | datetime | None:
    """The time of the newest row; for days and weeks their start."""
    [[found]] = _rows(connection, name, _NEWEST)
    return found


def plot(connection: Connection, name: str) -> str | None:
    """A small plot as Markdown, for the tables whose course says something."""
    if name == "funnel_daily":
        steps = connection.execute(_FUNNEL).fetchall()
        return bars([(str(step), float(users)) for step, users in steps]) if steps else None
    shown, last = SHOWN[name], newest(connection, name)
    if shown.measure is None or last is None:
        return None
    first = last - shown.step * (shown.points - 1)
    found = dict(_rows(connection, name, _COURSE, measure=sql.SQL(shown.measure), first=sql.Literal(first)))
    times = [first + shown.step * number for number in range(shown.points)]
    return spark([(text_of(moment), float(found.get(moment, 0))) for moment in times])


def _rows(connection: Connection, name: str, query: LiteralString, **parts: sql.Composable) -> list[tuple[Any, ...]]:
    aggregate = AGGREGATES[name]
    table = sql.Identifier(aggregate.schema, aggregate.name)
    time = sql.Identifier(str(aggregate.time_column))
    composed = sql.SQL(query).format(table=table, time=time, rows=sql.SQL(SHOWN[name].rows), **parts)
    return connection.execute(composed).fetchall()
