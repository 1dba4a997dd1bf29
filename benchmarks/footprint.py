"""What an event leaves behind, and how fast one writer takes events into the aggregates: the figures of docs/scale.md.

What belongs here: sizes after a backlog, divided by its events. What does not: how fast the backlog is worked off
(`throughput`), and what the figures mean for more events (docs/scale.md).
"""

import time
from typing import Any

import psycopg
import redis

from benchmarks.rig import Rig
from infra.local.remote import Remote
from orchestration.factories import make_aggregates

_TABLES = """
select coalesce(sum(pg_table_size(c.oid)), 0)::bigint, coalesce(sum(pg_indexes_size(c.oid)), 0)::bigint
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where c.relkind = 'r' and n.nspname = %s and c.relname like %s
"""
_RAW = ("raw", "events\\_%")
OF_AGGREGATES = (("ops", "%"), ("analytics", "%"))
WAL = "select (pg_current_wal_lsn() - '0/0')::bigint"
_STORED = "select count(*) from raw.events"


def measure(rig: Rig, events: int) -> None:
    """Print bytes an event in each place, after ingest and after the aggregates have taken the events in."""
    Remote(rig.directory).stop("worker-aggregates")
    with rig.nobody_plans():
        rig.produce("--fast", "--count", str(events))
    wal, tables, claims = rig.one(WAL), _bytes(rig), _claims(rig)
    rig.wait_for_records(events)
    stored: int = rig.one(_STORED)
    heap, indexes = (now - then for now, then in zip(_bytes(rig), tables, strict=True))
    print(f"  {stored:,} events stored; bytes an event:")
    print(f"    raw.events         {heap / stored:7.0f} in the tables, {indexes / stored:.0f} in their indexes")
    print(f"    WAL of ingest      {(rig.one(WAL) - wal) / stored:7.0f} (with Dagster's own)")
    print(f"    Redis              {(_claims(rig) - claims) / stored:7.0f} (claims)")
    _refresh(rig, stored)
    _runs(rig)


def _refresh(rig: Rig, stored: int) -> None:
    """Take all events into the aggregates, here, with nobody else at work."""
    aggregates = make_aggregates(rig.settings)
    with rig.nobody_plans():
        wal, before = rig.one(WAL), _bytes(rig, *OF_AGGREGATES)
        started = time.monotonic()
        while aggregates.refresh().events:
            pass
        seconds = time.monotonic() - started
    aggregates.close()
    made = sum(_bytes(rig, *OF_AGGREGATES)) - sum(before)
    print(f"    WAL of aggregates  {(rig.one(WAL) - wal) / stored:7.0f}")
    print(f"    aggregates         {made / stored:7.0f} (with helper rows and indexes, at this many events an hour)")
    print(f"  aggregates, one writer: {stored / seconds:,.0f} events/s")


def _runs(rig: Rig) -> None:
    size = sum(_bytes(rig, ("dagster", "%")))
    runs = rig.one("select count(*) from dagster.runs")
    print(f"  Dagster's own tables: {size / 2**20:.1f} MiB with {runs} runs")


def table_bytes(connection: "psycopg.Connection[Any]", *places: tuple[str, str]) -> tuple[int, int]:
    """Bytes of tables and of indexes in some places, each a schema and a pattern of names."""
    rows = [connection.execute(_TABLES, place).fetchone() or (0, 0) for place in places]
    return sum(row[0] for row in rows), sum(row[1] for row in rows)


def _bytes(rig: Rig, *places: tuple[str, str]) -> tuple[int, int]:
    """The same on the stack; of raw.events if no place is given."""
    with rig.connect() as connection:
        return table_bytes(connection, *(places or (_RAW,)))


def _claims(rig: Rig) -> int:
    with redis.Redis.from_url(rig.settings.redis_url) as client:
        return int(client.info("memory")["used_memory"])
