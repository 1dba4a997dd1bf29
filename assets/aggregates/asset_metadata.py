"""Figures of tables for Dagster's user interface: rows, freshness, preview, plot; rows by partition after a rebuild.

What belongs here: metadata, made from cheap questions. What does not: how rows are shown (`preview`), and when.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

import dagster as dg
from psycopg import sql
from sqlalchemy import Date

from assets.aggregates import history, preview
from assets.aggregates.catalog import AGGREGATES, Aggregate
from assets.aggregates.marks import GROUPS
from assets.periods import DAY, TimeSpan, day_key, floor_day, hour_key
from resources.postgres import Connection

_WAITING = """
select g.consumer, coalesce(sum(d.events), 0)::bigint,
    round(coalesce(extract(epoch from clock_timestamp() - min(d.marked_at)), 0), 1)::float8
from unnest(%s::text[]) as g (consumer)
left join ops.dirty_buckets as d
    on not exists (select from ops.taken_marks as m where m.consumer = g.consumer and m.mark_id = d.mark_id)
group by g.consumer
"""


def current_metadata(connection: Connection, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """How each table is now; small whatever the table holds."""
    found: Any = connection.execute(_WAITING, ([*GROUPS],)).fetchall()
    waiting = {group: {"events_waiting": events, "oldest_waiting_seconds": since} for group, events, since in found}
    lacking = history.missing(history.read(connection))
    return {
        name: {
            **_figures(connection, name),
            **waiting[AGGREGATES[name].group],
            "missing_days": history.count(lacking.get(name, ())),
        }
        for name in names
    }


def _figures(connection: Connection, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "dagster/row_count": preview.row_count(connection, name),
        "newest_rows": dg.MetadataValue.md(preview.newest_rows(connection, name)),
    }
    newest = preview.newest(connection, name)
    if newest is not None:
        found["newest"] = newest.isoformat()
    if (plot := preview.plot(connection, name)) is not None:
        found["plot"] = dg.MetadataValue.md(plot)
    return found


def rows_by_partition(connection: Connection, name: str, span: TimeSpan) -> Mapping[str, int]:
    """How many rows of the span lie in each hour, or in each day, by the key of its partition."""
    aggregate = AGGREGATES[name]
    unit, key = ("hour", hour_key) if aggregate.grain == "hour" else ("day", day_key)
    found = connection.execute(_by_partition(aggregate, unit), span._asdict()).fetchall()
    return {key(start): count for start, count in found}


def _by_partition(aggregate: Aggregate, unit: str) -> sql.Composed:
    column = str(aggregate.time_column)
    kind = "date" if isinstance(aggregate.columns[column].type, Date) else "timestamptz"
    return sql.SQL(
        "select date_trunc({unit}, {column}::timestamptz, 'UTC'), count(*) from {table}"
        " where {column} >= (%(low)s)::{kind} and {column} < (%(high)s)::{kind} group by 1"
    ).format(
        unit=sql.Literal(unit),
        column=sql.Identifier(column),
        table=sql.Identifier(aggregate.schema, aggregate.name),
        kind=sql.SQL(kind),
    )


def whole_span(connection: Connection, first_day: str, last_day: str) -> TimeSpan:
    """From the start of the first day to the end of the last; for an empty one, of all events.

    Raises:
        ValueError: a day is not written as 2026-01-31, or the last lies before the first.
    """
    row: Any = connection.execute("select min(minute), max(minute) from analytics.events_minutely").fetchone()
    today = datetime.now(UTC)
    low = _day(first_day) if first_day else floor_day(row[0] or today)
    high = (_day(last_day) if last_day else floor_day(row[1] or today)) + DAY
    if high <= low:
        raise ValueError(f"the range ends before it begins: {low:%Y-%m-%d} to {high - DAY:%Y-%m-%d}")
    return TimeSpan(low, high)


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time(), UTC)
