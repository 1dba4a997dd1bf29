"""Lists ids under which events of different times are stored: a producer's mistake that the key cannot refuse.

What belongs here: finding and listing them. What does not: deciding which of the events is right; both stay.

raw.events has no index by id alone, since one would cost every insert. So a day's arrivals are held against the events
of a week by a hash join of their partitions; an id that comes again after more than a week is not found here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from assets.upkeep.sql import statement
from resources.postgres import Connection, Postgres, commit, rollback

APPLICATION = "millrace-upkeep"

LOOK_BACK = timedelta(days=7)
_AHEAD = timedelta(days=1)  # producers' clocks may be ahead
_KEPT = timedelta(days=90)
_LISTED = 10_000
# The join hashes a day's ids; what does not fit goes to disk.
_MEMORY = "set local work_mem = '64MB'"


@dataclass(frozen=True)
class Reused:
    """What a day's look found: events stored under a known id, how many ids, how many are listed for the first time."""

    day: date
    since: date
    events: int
    ids: int
    listed: int
    seconds: float


def find(
    postgres: Postgres,
    day: date | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Reused:
    """Look at the events that were stored on a day and write those down whose id was known; safe to run again.

    Args:
        postgres: the database.
        day: a UTC day; yesterday, if not given.
        clock: the time, for tests.

    Raises:
        psycopg.Error: the database cannot be asked, or it took more than an hour.
    """
    began = time.monotonic()
    chosen = day or (clock() - timedelta(days=1)).date()
    start = datetime(chosen.year, chosen.month, chosen.day, tzinfo=UTC)
    bounds: dict[str, Any] = {
        "low": start - LOOK_BACK,
        "high": start + timedelta(days=1) + _AHEAD,
        "day": start,
        "next_day": start + timedelta(days=1),
        "most": _LISTED,
    }
    with postgres.connect(APPLICATION, statement_timeout_seconds=3_600) as connection:
        connection.execute("begin")
        try:
            connection.execute(_MEMORY)
            # Bounds as literals: only then are the partitions chosen when the query is planned.
            cursor = psycopg.ClientCursor(connection)
            row: Any = cursor.execute(statement("find_reused_ids"), bounds).fetchone()
            cursor.execute(statement("delete_reused_ids"), {"before": clock() - _KEPT})
            commit(connection)
        except BaseException:
            rollback(connection)
            raise
    return Reused(chosen, bounds["low"].date(), *row, seconds=time.monotonic() - began)


_NEWEST = """
select type, occurred_at, first_type, first_occurred_at, found_at
from ops.reused_ids order by found_at desc, event_id limit 20
"""


def newest(connection: Connection) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Those that were found last, for the user interface: without the ids, which Dagster would keep."""
    columns = ("type", "occurred_at", "first_type", "first_occurred_at", "found_at")
    return columns, connection.execute(_NEWEST).fetchall()
