"""Sessions: a user's events of any type in order of time, cut where a gap is over 30 minutes.

Events of one time follow each other by their Kafka position (topic id, partition, offset): in one partition that is the
order in which they were sent, across partitions it is arbitrary and always the same. Never by their ids.

Sessions merge: each keeps when, and at which position, its first and its last page were seen (`entry_at`,
`entry_position`, `exit_at`, `exit_position`), so that new events join it without its old ones being read. Raw events
are read only to rebuild, to forget, and once for each session that a release without these columns wrote or changed:
its `merged_events` are not its `events`.

`session_id` is md5(user_id || '/' || started_at in microseconds since 1970) as a UUID: it depends on these two alone.
`page_views` are the events of type page_view, `entry_page` and `exit_page` the page of the first and the last of them
(null without any), `bounced` means that a page view is all there is: who lands and does anything else has not bounced.

Sessions that began before the frontier are frozen: they stay as they are, and no event before it is read. Events up to
the end of such a session are its own; those after it make sessions among themselves.

What belongs here: what is read and replaced when events arrive, when a range is rebuilt and when a user is forgotten.
What does not: marks and transactions (`writer`). Each function works in the caller's transaction and adds to the
temporary table session_changes by how many the sessions of a user have become more or fewer.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from assets.aggregates import marks
from assets.aggregates.drift import Drift
from assets.aggregates.sql import statement
from resources.postgres import Connection

_GAP = timedelta(minutes=30)
_FIRST_SPAN = timedelta(hours=1)
_FOREVER_AGO = "-infinity"
_UNKNOWN_PAGES = """
select min(started_at), max(ended_at) from session_touched
where merged_events is distinct from events having count(*) > 0
"""
_NO_RANGE = {"low": "infinity", "high": "infinity"}


def merge(connection: Connection, frontier: datetime | None = None) -> None:
    """Add the events of `arrived`, each of which no session holds yet, to the sessions of their users.

    They make small sessions, which merge with the stored ones that they touch: no event of these is read again.
    """
    cursor = _cursor(connection)
    cursor.execute(statement("sessions_touched"), {"frontier": frontier or _FOREVER_AGO})
    if span := cursor.execute(_UNKNOWN_PAGES).fetchone():
        cursor.execute(_settled("sessions_recall"), dict(zip(("low", "high"), span, strict=True)))
    cursor.execute(statement("sessions_join"))
    _merge(cursor)


def rebuild(connection: Connection, low: datetime, high: datetime, frontier: datetime | None = None) -> Drift:
    """Make every session that overlaps [low, high), which is half an hour at least, what raw.events says."""
    low = low if frontier is None else max(low, frontier)
    if low >= high:
        return Drift()
    cursor = _cursor(connection)
    bounds = {"low": low, "high": high}
    cursor.execute(statement("sessions_range"), {**bounds, "frontier": frontier or _FOREVER_AGO})
    _follow(cursor, low, min(low + _GAP, high), frontier, backward=True)
    _follow(cursor, high, max(high - _GAP, low), frontier, backward=False)
    cursor.execute(statement("sessions_compute"), bounds)
    return _merge(cursor)


def forget(connection: Connection, users: Sequence[str], frontier: datetime | None = None) -> None:
    """Delete the users' sessions, frozen ones too, and rebuild them from what is left of the users' events."""
    cursor = _cursor(connection)
    cursor.execute(statement("sessions_of_user"), {"users": list(users), "frontier": frontier or _FOREVER_AGO})
    cursor.execute(statement("sessions_compute"), _NO_RANGE)
    _merge(cursor)


def _cursor(connection: Connection) -> psycopg.ClientCursor[Any]:
    """A cursor that writes parameters into the statement, so that partitions are left out when it is planned."""
    return psycopg.ClientCursor(connection)


def _settled(name: str) -> bytes:
    """A statement that leaves the events of marks that wait out of what is `there`."""
    return statement(name).replace(b"-- settled", marks.settled("users").encode())


def _follow(
    cursor: psycopg.ClientCursor[Any], bound: datetime, near: datetime, frontier: datetime | None, *, backward: bool
) -> None:
    """Read the events beyond a bound of the sessions that cross it, in growing spans until each has ended."""
    way = {"backward": backward, "bound": bound, "frontier": frontier or _FOREVER_AGO}
    span, edge = _FIRST_SPAN, bound
    cursor.execute(statement("sessions_edges"), {**way, "near_low": min(bound, near), "near_high": max(bound, near)})
    open_edges = cursor.rowcount
    while open_edges and (far := _further(edge, -span if backward else span, frontier)) != edge:
        window = {**way, "low": min(edge, far), "high": max(edge, far)}
        cursor.execute(_settled("sessions_read_edges"), window)
        _reach(cursor, window)
        cursor.execute(statement("sessions_close_edges"), window)
        open_edges -= cursor.rowcount
        span, edge = span * 2, far
    cursor.execute(statement("sessions_settle_edges"), way)


def _reach(cursor: psycopg.ClientCursor[Any], window: Mapping[str, object]) -> None:
    """Follow events and rows in turn until neither leads any further."""
    moved = True
    while moved:
        moved = False
        for name in ("sessions_follow_rows", "sessions_follow_events"):
            cursor.execute(statement(name), window)
            moved = moved or cursor.rowcount > 0


def _further(edge: datetime, span: timedelta, frontier: datetime | None) -> datetime:
    try:
        far = edge + span
    except OverflowError:
        far = datetime.min.replace(tzinfo=UTC) if span < timedelta() else datetime.max.replace(tzinfo=UTC)
    return far if frontier is None else max(far, frontier)


def _merge(cursor: psycopg.ClientCursor[Any]) -> Drift:
    cursor.execute(statement("sessions_merge"))
    while cursor.nextset():  # the last of its statements has the result
        pass
    [[rows, drift]] = cursor.fetchall()
    return Drift(rows, drift)
