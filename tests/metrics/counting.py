"""What the tests of the totals share: traffic of every kind, the totals at a glance, and what SQL says they must be."""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from assets.ingest.plan import OffsetRange
from contract.contract import Contract
from monitoring.metrics import totals
from monitoring.metrics.names import BOUNDS, NONE, MetricName
from monitoring.metrics.totals import SUM, Total
from tests.support.world import World, event

USERS = ("u1", "u2", "u3", "u4")
STEPS = ("pull", "decode", "claim", "frame", "store")

_PAYLOADS: dict[str, dict[str, Any]] = {
    **{name: each.example()["payload"] for name, each in Contract().items()},
    "new_thing": {"ip": "192.0.2.1", "device": "phone"},  # yesterday's code does not know it
}
_GARBAGE = (b"garbage", b"[]", b'{"type": "login"}', b"\xff")


def some(chance: random.Random, records: int) -> list[bytes | None]:
    """Events of every type, some of them twice, some that nobody knows, garbage and tombstones, in any order."""
    made: list[bytes | None] = []
    for _ in range(records):
        kind = chance.choice(tuple(_PAYLOADS))
        at = datetime.now(UTC) - timedelta(minutes=chance.randrange(5, 600))
        payload = {**_PAYLOADS[kind], "userId": chance.choice(USERS)}
        one = event(str(uuid.uuid4()), kind=kind, timestamp=at.isoformat(), payload=payload)
        made.append(json.dumps(one).encode())
        rare = chance.random()
        if rare < 0.2:
            made.append(chance.choice(made))
        elif rare < 0.3:
            made.append(chance.choice(_GARBAGE))
        elif rare < 0.35:
            made.append(None)
    chance.shuffle(made)
    return made


def ingested(world: World, ranges: tuple[OffsetRange, ...] | None = None, **changes: Any) -> None:
    """A run of a worker that shares nothing with the others; `changes` to the settings."""
    worker = world.another_worker(**changes)
    try:
        world.ingest(worker, ranges)
    finally:
        worker.close()


def read(world: World) -> dict[Total, float]:
    """All totals."""
    with world.worker.postgres.connect("test") as connection:
        return dict(totals.read(connection))


def of(world: World, metric: MetricName) -> dict[tuple[str, ...], float]:
    """The totals of a metric by labels."""
    return {total.labels: amount for total, amount in read(world).items() if total.metric == metric}


def counters(world: World) -> dict[Total, float]:
    """All but the histograms."""
    return {total: amount for total, amount in read(world).items() if total.metric not in BOUNDS}


def outcome(world: World, name: str) -> dict[str, float]:
    """The events of an outcome by type."""
    return {labels[1]: n for labels, n in of(world, "millrace_events_total").items() if labels[0] == name}


def observed(world: World, metric: MetricName) -> dict[tuple[str, ...], float]:
    """How many observations a histogram holds, by labels."""
    found: dict[tuple[str, ...], float] = {}
    for labels, amount in of(world, metric).items():
        if labels[-1] != SUM:
            found[labels[:-1]] = found.get(labels[:-1], 0) + amount
    return found


def ledger(world: World, column: str) -> int:
    """The ledger's sum."""
    return world.one(f"select coalesce(sum({column}), 0)::bigint from ops.batches")


def equal_sql(world: World) -> None:
    """At rest, while nothing was taken away and no replay took anything back: to the event."""
    assert outcome(world, "stored") == dict(world.query("select type, count(*) from raw.events group by 1"))
    dead_letters = sum(of(world, "millrace_rejections_total").values())
    assert dead_letters == sum(outcome(world, "dead_letter").values())
    assert dead_letters == world.one("select count(*) from raw.dead_letters")
    assert sum(outcome(world, "duplicate").values()) == ledger(world, "duplicates_redis + duplicates_postgres")
    assert outcome(world, "tombstone").get(NONE, 0) == ledger(world, "tombstones")
    sources = of(world, "millrace_duplicates_total")
    assert sources.get(("redis",), 0) == ledger(world, "duplicates_redis")
    assert sources.get(("postgres",), 0) == ledger(world, "duplicates_postgres")
    _batches_equal_sql(world)


def _batches_equal_sql(world: World) -> None:
    found = "select count(*), coalesce(sum(records), 0)::bigint from ops.batches where kind = 'ingest'"
    [(batches, records)] = world.query(found)
    assert of(world, "millrace_batches_total").get(("committed",), 0) == batches
    assert observed(world, "millrace_batch_seconds") == {(step,): batches for step in STEPS if batches}
    assert observed(world, "millrace_end_to_end_seconds").get((), 0) == records


def grown(before: dict[Total, float], after: dict[Total, float]) -> dict[str, float]:
    """What was added, by metric and labels; fails if anything became less."""
    more = {total: after.get(total, 0) - before.get(total, 0) for total in {*before, *after}}
    assert [total for total, amount in more.items() if amount < 0] == []
    return {" ".join((t.metric.removeprefix("millrace_"), *t.labels)): n for t, n in more.items() if n}


def the_plan(world: World) -> tuple[OffsetRange, ...]:
    """The only plan there is."""
    [ranges] = world.plans()
    return ranges


def expire(world: World, before: int) -> None:
    """Have Kafka forget the records before an offset of partition 0."""
    admin = AdminClient({"bootstrap.servers": world.settings.kafka_bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.topic, 0, before)]).values():
        future.result()
