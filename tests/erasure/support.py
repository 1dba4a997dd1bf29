"""What the tests of erasure and retention share: events of named users, erasing, replaying, looking at what is left."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from assets.erasure.erase import Erased, Eraser
from assets.ingest.plan import OffsetRange
from assets.ingest.replay import Replayed, replay
from assets.ingest.worker import Failpoints
from assets.upkeep.retention import Retained, apply
from orchestration.factories import make_aggregates, make_worker
from tests.support.world import LOG, World, event

SECRET = "user-whose-id-is-secret"


def of(user: str, *, days_ago: float = 0, kind: str = "page_view", **changes: Any) -> dict[str, Any]:
    """A valid event of a user; not in the last seconds, so that the minute is over."""
    payloads: dict[str, dict[str, Any]] = {
        "page_view": {"userId": user, "page": "/p", "referrer": "", "device": "d"},
        "login": {"userId": user, "ip": "192.0.2.1", "device": "d"},
    }
    at = datetime.now(UTC) - timedelta(days=days_ago, minutes=5)
    return event(kind=kind, timestamp=at.isoformat(), payload=payloads[kind], **changes)


def eraser(world: World, **changes: Any) -> Eraser:
    """An eraser as the command makes it."""
    aggregates = make_aggregates(world.settings)
    made = Eraser(
        world.worker.postgres,
        world.worker.kafka,
        (world.topic,),
        aggregates,
        "test",
        "erase-1",
        Failpoints(world.failpoints),
    )
    return made if not changes else Eraser(**{**vars(made), **changes})


def erase(world: World, user: str = SECRET, **options: Any) -> Erased:
    """Erase a user."""
    made = eraser(world)
    try:
        return made.erase(user, **options)
    finally:
        made.aggregates.close()


def retain(world: World, days: int, **options: Any) -> Retained:
    """Drop what is older than so many days."""
    return apply(world.worker.postgres, world.aggregates, days, "retention-1", **options)


def replayed(world: World, ranges: tuple[OffsetRange, ...], *runs: str) -> Replayed:
    """Replay everything, by a worker of its own."""
    worker = make_worker(world.settings)
    try:
        return replay(worker, runs or ("run-1",), ranges, world.author("replay"), LOG)
    finally:
        worker.close()


def traces(world: World, user: str = SECRET) -> dict[str, int]:
    """In which columns of which tables the user's id stands, and how often: any column that can hold text."""
    found: dict[str, int] = {}
    columns = world.query(
        "select c.oid::regclass::text, a.attname, a.atttypid::regtype::text"
        " from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid"
        " where c.relnamespace in ('raw'::regnamespace, 'ops'::regnamespace, 'analytics'::regnamespace)"
        " and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped"
        " and a.atttypid in ('text'::regtype, 'jsonb'::regtype, 'bytea'::regtype, 'text[]'::regtype)"
    )
    for table, column, kind in columns:
        as_bytes = f"convert_to({column}::text, 'UTF8')" if kind != "bytea" else column
        count = world.one(f"select count(*) from {table} where position(%s in {as_bytes}) > 0", user.encode())
        if count:
            found[f"{table}.{column}"] = count
    return found


def minutes_equal_raw(world: World) -> bool:
    """Whether the counts by minute are those of the rows."""
    return world.query("select minute, type, events from analytics.events_minutely order by 1, 2") == world.query(
        "select date_trunc('minute', occurred_at), type, count(*) from raw.events group by 1, 2 order by 1, 2"
    )


def as_text(value: dict[str, Any]) -> bytes:
    """A record's value."""
    return json.dumps(value).encode()
