"""A stage for the tests of the aggregates: send events, refresh, and hold every table against the oracle.

What belongs here: sending, reading the tables, telling what differs. What does not: the definitions (`oracle`).
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from assets.aggregates.catalog import AGGREGATES, FILLED
from assets.aggregates.marks import GROUPS
from assets.aggregates.writer import AggregateWriter
from tests.aggregates import oracle
from tests.aggregates.oracle import COLUMNS, Event, Row, Tables, event_of
from tests.support.world import World

_CLEAR = """
select format('%%I.%%I', n.nspname, c.relname) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname in ('raw', 'ops', 'analytics') and c.relkind in ('r', 'p') and not c.relispartition
and c.relname not in ('offsets', 'aggregate_history', 'alembic_version')
"""
_SETTLED = """
select e.occurred_at, e.event_id, e.type, e.user_id, e.payload, e.kafka_partition, e.kafka_offset from raw.events as e
where not exists (
    select from ops.dirty_buckets as d left join ops.batch_ranges as r using (batch_id)
    where e.occurred_at between d.low and d.high
    and not exists (select from ops.taken_marks as m where m.consumer = %s and m.mark_id = d.mark_id)
    and (
        e.event_id = any(d.event_ids)
        or (e.kafka_topic_id, e.kafka_partition) = (r.topic_id, r.partition)
        and e.kafka_offset >= r.start_offset and e.kafka_offset < r.end_offset
    )
)
"""


def read(connection: psycopg.Connection[Any], names: Iterable[str] = COLUMNS) -> Tables:
    """The rows of Millrace's tables, as the oracle gives them."""
    found: Tables = {}
    for name in names:
        key, others = COLUMNS[name]
        rows = connection.execute(f"select {', '.join((*key, *others))} from analytics.{name}".encode()).fetchall()
        found[name] = oracle.in_order(name, rows)
    return found


def differences(expected: Tables, found: Tables) -> list[str]:
    """What is wrong, at most a few rows of each table; empty is good."""
    return [line for name in found for line in _table_differences(name, expected[name], found[name])]


def _table_differences(name: str, expected: list[Row], found: list[Row]) -> list[str]:
    width = len(COLUMNS[name][0])
    wanted, there = {row[:width]: row for row in expected}, {row[:width]: row for row in found}
    lines = [f"{name}: missing {wanted[key]}" for key in wanted.keys() - there.keys()]
    lines += [f"{name}: too much {there[key]}" for key in there.keys() - wanted.keys()]
    both = wanted.keys() & there.keys()
    lines += [f"{name}: {there[k]} instead of {wanted[k]}" for k in both if not _equal(there[k], wanted[k])]
    if len(there) != len(found):
        lines.append(f"{name}: {len(found) - len(there)} rows twice")
    shown = [line if len(line) < 400 else f"{line[:400]}..." for line in lines[:4]]
    return shown if len(lines) <= 4 else [*shown, f"{name}: {len(lines) - 4} more"]


def _equal(one: Row, other: Row) -> bool:
    return all(
        math.isclose(a, b, rel_tol=1e-12) if isinstance(a, float) else a == b for a, b in zip(one, other, strict=True)
    )


@dataclass
class Stage:
    """One world for a module's tests, and what was sent in this test."""

    world: World
    sent: dict[Any, Event] = field(default_factory=dict[Any, Event])
    places: dict[Any, tuple[int, int]] = field(default_factory=dict[Any, tuple[int, int]])

    def clear(self) -> None:
        """Forget everything that was stored, and in Redis what was seen; Kafka's offsets go on."""
        tables = [name for (name,) in self.world.query(_CLEAR)]
        self.world.query(f"truncate {', '.join(tables)} restart identity cascade")
        self.world.query("update ops.aggregate_history set missing = '{}'")
        self.world.worker.redis.call(lambda client: client.flushall())
        self.sent.clear()
        self.places.clear()

    def store(self, values: Iterable[bytes], partition: int = 0) -> None:
        """Kafka values, ingested and not refreshed."""
        written = list(values)
        offsets = self.world.produce(written, partition)
        for value, offset in zip(written, offsets, strict=True):
            with suppress(ValueError, KeyError, TypeError):
                self.places.setdefault(event_of(json.loads(value)).event_id, (partition, offset))
        self.world.ingest()

    def send(self, *events: Mapping[str, Any], partition: int = 0) -> None:
        """Valid events, ingested and not refreshed."""
        self.sent.update((e.event_id, e) for e in (event_of(dict(sent)) for sent in events))
        self.store((json.dumps(event).encode() for event in events), partition)

    def placed(self) -> list[Event]:
        """What was sent, with where it was stored first."""
        return [e._replace(topic_partition=self.places.get(e.event_id, e.topic_partition)) for e in self.sent.values()]

    def tables(self, *names: str) -> Tables:
        """The tables now."""
        with psycopg.connect(self.world.settings.postgres_url, autocommit=True) as connection:
            return read(connection, names or COLUMNS)

    def rows(self, name: str) -> list[Row]:
        """One table now."""
        return self.tables(name)[name]

    def wrong(self, events: Iterable[Event] | None = None) -> list[str]:
        """What differs from the oracle now, the events being all that were sent, or these."""
        return differences(oracle.tables(self.placed() if events is None else events), self.tables())

    def settled(self) -> list[str]:
        """Refresh; what differs then, marks that are left among it."""
        self.world.refresh()
        left = self.world.one("select count(*) from ops.dirty_buckets")
        return self.wrong() + ([f"{left} marks are left"] if left else [])

    def rebuild(
        self, names: Collection[str] | None = None, aggregates: AggregateWriter | None = None
    ) -> dict[str, int]:
        """Rebuild every day that has events, and those beside it; the drift that was found, where there was any."""
        found: Counter[str] = Counter()
        for low, high in self.spans():
            found.update((aggregates or self.world.aggregates).rebuild(low, high, names).drift)
        return {name: rows for name, rows in found.items() if rows}

    def spans(self) -> list[tuple[datetime, datetime]]:
        """The days that have events, and those beside them, as ranges."""
        wide = timedelta(days=1)
        found: list[tuple[datetime, datetime]] = []
        for day in sorted({event.occurred_at.date() for event in self.sent.values()}):
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            joins = bool(found) and midnight - wide <= found[-1][1]
            low = found.pop()[0] if joins else midnight - wide
            found.append((low, midnight + 2 * wide))
        return found

    def inconsistent(self) -> list[str]:
        """What differs, in one snapshot, from the oracle of the events that no mark stands for. Never anything."""
        with psycopg.connect(self.world.settings.postgres_url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return [line for group in GROUPS for line in _wrong_in(connection, group)]


def _wrong_in(connection: psycopg.Connection[Any], group: str) -> list[str]:
    """What a group's tables differ in from the events that do not wait for it."""
    names = [name for name in COLUMNS if name in FILLED and AGGREGATES[name].group == group]
    events = [Event(*row[:5], topic_partition=row[5:]) for row in connection.execute(_SETTLED.encode(), (group,))]
    return differences(oracle.tables(events), read(connection, names))
