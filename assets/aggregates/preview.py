"""What is shown of a table in Dagster's user interface: its newest rows, a small plot, its size.

What belongs here: the queries. What does not: which rows in which order (a table's declaration says it), their look
(`markdown`), and when it is shown (`asset_metadata`). Cheap whatever the table holds: every query follows an index and
stops after a few rows.

Ids, addresses and every text that a producer sent are left out: Dagster keeps what it is shown, and an erased user must
not live on in it, nor in the name of a page. What is shown is figures, times, and words of ours.
"""

from datetime import date, datetime
from typing import Any, LiteralString

from psycopg import sql
from sqlalchemy import Boolean, Date, DateTime, Integer, Interval, Numeric

from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.markdown import bars, markdown_table, spark, text_of
from resources.postgres import Connection

_OUR_WORDS = frozenset({"type", "action", "flags", "name"})  # of the contract, the audit's rules, the funnel's file
# Below every table of rows: who wonders where the pages are, and the erasure, which knows by it what is not of today.
WITHOUT_TEXTS = "Ids and texts of producers are in the table alone."
_NO_TEXT = (Boolean, Date, DateTime, Integer, Interval, Numeric)
_ROWS = 10
_COUNTED = 10_000  # a table of fewer rows is counted, of a larger one the estimate is shown


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
    order = sql.SQL(AGGREGATES[name].preview.order)
    rows = _rows(connection, name, _NEWEST_ROWS, columns=chosen, order=order, limit=sql.Literal(_ROWS))
    return (markdown_table(columns, rows) if rows else "no rows yet") + f"\n\n{WITHOUT_TEXTS}"


def shown_columns(name: str) -> list[str]:
    """The columns that hold no text of a producer's, whatever the table is: what is not known is left out."""
    return [c.name for c in AGGREGATES[name].columns.values() if isinstance(c.type, _NO_TEXT) or c.name in _OUR_WORDS]


def newest(connection: Connection, name: str) -> date | datetime | None:
    """The time of the newest row; for days and weeks their start. None, too, where rows are over all time."""
    if AGGREGATES[name].time_column is None:
        return None
    [[found]] = _rows(connection, name, _NEWEST)
    return found


def plot(connection: Connection, name: str) -> str | None:
    """A small plot as Markdown, for the tables whose course says something."""
    if name == "funnel_daily":
        steps = connection.execute(_FUNNEL).fetchall()
        return bars([(str(step), float(users)) for step, users in steps]) if steps else None
    shown, last = AGGREGATES[name].preview, newest(connection, name)
    if shown.measure is None or last is None:
        return None
    first = last - shown.step * (shown.points - 1)
    found = dict(_rows(connection, name, _COURSE, measure=sql.SQL(shown.measure), first=sql.Literal(first)))
    times = [first + shown.step * number for number in range(shown.points)]
    return spark([(text_of(moment), float(found.get(moment, 0))) for moment in times])


def _rows(connection: Connection, name: str, query: LiteralString, **parts: sql.Composable) -> list[tuple[Any, ...]]:
    aggregate = AGGREGATES[name]
    table = sql.Identifier(aggregate.schema, aggregate.name)
    time = sql.Identifier(aggregate.time_column or aggregate.key[0])
    composed = sql.SQL(query).format(table=table, time=time, rows=sql.SQL(aggregate.preview.rows), **parts)
    return connection.execute(composed).fetchall()
