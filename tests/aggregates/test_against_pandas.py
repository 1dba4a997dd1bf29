"""Random streams, late, doubled and out of order, in random batches: every table is what pandas makes of the events."""

import json
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from assets.aggregates.catalog import AGGREGATES, REBUILDABLE
from orchestration.factories import make_aggregates
from tests.aggregates.compare import Stage
from tests.aggregates.oracle import COLUMNS, Event, event_of, tables
from tests.aggregates.streams import MONDAY, Json, at, deliver, stream
from tests.support.world import World

pytestmark = pytest.mark.services


def started(stage: Stage, valid: list[Json]) -> None:
    """Say what is going to be sent."""
    stage.sent.update((e.event_id, e) for e in map(event_of, valid))


@pytest.mark.parametrize("seed", range(3))
def test_every_table_is_what_pandas_computes_from_the_stream(stage: Stage, seed: int) -> None:
    lacking = {name for name, each in AGGREGATES.items() if each.schema == "analytics"} - COLUMNS.keys()
    assert not lacking, f"say in tests/aggregates/oracle.py what these hold: {', '.join(sorted(lacking))}"
    made, draw = stream(seed), random.Random(seed)
    started(stage, made.valid)
    for batch in made.batches:
        stage.store(batch)
        if draw.random() < 0.5:
            stage.world.refresh()
            assert stage.inconsistent() == []
    assert stage.settled() == []
    for low, high in stage.spans()[:3]:
        drift = stage.world.aggregates.rebuild(low, min(high, low + timedelta(days=4))).drift
        assert not any(drift.values()), drift
    assert stage.wrong() == []


def test_a_stream_that_ends_now_comes_out_right(stage: Stage) -> None:
    """The hour, the day and the week that are not over yet."""
    made = stream(77, events=300, start=datetime.now(UTC) - timedelta(days=28, seconds=1), days=29)
    past = [e for e in made.valid if datetime.fromisoformat(e["timestamp"]) < datetime.now(UTC)]
    now = [at(datetime.now(UTC), f"user {n}") for n in range(30)]
    started(stage, [*past, *now])
    for batch in deliver(random.Random(77), [*past, *now]):
        stage.store(batch)
        stage.world.refresh()
    assert stage.settled() == []


def test_every_table_is_what_pandas_computes_from_the_kafka_topic(world: World) -> None:
    stage = Stage(world)
    for batch in stream(11).batches:
        stage.store(batch)
        world.refresh()
    found = read_back(world)
    assert len(found) > 500
    assert stage.wrong(found) == []


def read_back(world: World) -> list[Event]:
    """Everything in the topic, read and judged by nothing of Millrace's."""
    consumer = Consumer({"bootstrap.servers": world.settings.kafka_bootstrap_servers, "group.id": "test"})
    consumer.assign([TopicPartition(world.topic, 0, 0)])
    end = consumer.get_watermark_offsets(TopicPartition(world.topic, 0))[1]
    seen: dict[Any, Event] = {}
    offset = -1
    while offset < end - 1:
        for message in consumer.consume(1_000, 1):
            assert message.error() is None
            offset = message.offset() or 0
            with suppress(ValueError, KeyError, TypeError):
                event = judged(json.loads(message.value() or b""))._replace(topic_partition=(0, offset))
                seen.setdefault(event.event_id, event)
    consumer.close()
    return list(seen.values())


def judged(document: Any) -> Event:
    """The event of a document; the streams hold only such invalid ones as fail here."""
    event = event_of(document)
    if event.type not in ("login", "logout", "page_view", "button_click", "form_submit"):
        raise ValueError(event.type)
    if event.type in ("login", "logout"):
        ip_address(event.payload["ip"])
    return event


def test_any_order_and_any_split_of_the_same_events_give_the_same_tables(stage: Stage) -> None:
    # Each at a time of its own: events of one time follow each other as they were sent.
    valid = list({datetime.fromisoformat(e["timestamp"]): e for e in stream(5, events=700).valid}.values())
    outcomes: list[Any] = []
    for seed in range(3):
        stage.clear()
        started(stage, valid)
        draw = random.Random(seed)
        batches = deliver(draw, draw.sample(valid, len(valid)), damaged=False)
        for batch in draw.sample(batches, len(batches)):
            stage.store(batch)
            if draw.random() < 0.7:
                stage.world.refresh()
        stage.world.refresh()
        outcomes.append(
            (
                stage.tables(),
                sorted(stage.world.query("select session_id, user_id, started_at from analytics.sessions")),
            )
        )
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert stage.settled() == []


def test_a_session_has_the_same_id_in_every_database_and_another_one_from_every_other_start(
    stage: Stage, world: World
) -> None:
    events = [at("2026-07-15T10:00", "ann"), at("2026-07-15T11:00", "ann"), at("2026-07-15T10:00", "bob")]
    found: list[list[Any]] = []
    for somewhere, extra in ((stage, at("2026-07-15T10:10", "ann")), (Stage(world), at("2026-07-10T10:00", "ann"))):
        somewhere.send(*(at(e["timestamp"], e["payload"]["userId"]) for e in events), extra)
        somewhere.world.refresh()
        found.append(somewhere.world.query("select session_id from analytics.sessions where started_at > '2026-07-15'"))
    assert len(set(found[0])) == 3
    assert set(found[0]) == set(found[1])


@pytest.mark.parametrize("seed", range(5))
def test_any_sequence_of_operations_ends_in_the_right_tables(stage: Stage, seed: int) -> None:
    draw = random.Random(1_000 + seed)
    made = stream(1_000 + seed, events=draw.choice([20, 60, 120]), days=30)
    started(stage, made.valid)
    batches, aggregates = list(made.batches), stage.world.aggregates
    while batches:
        match draw.choice(["store", "store", "refresh", "some days", "rebuild", "restart"]):
            case "store":
                stage.store(batches.pop(0))
            case "refresh":
                aggregates.refresh()
            case "some days":
                days = [pending.day for pending in aggregates.pending()]
                aggregates.refresh(draw.sample(days, len(days) // 2))
            case "rebuild":
                low = MONDAY + draw.random() * timedelta(days=30)
                names = draw.choice([None, draw.sample(sorted(REBUILDABLE & COLUMNS.keys()), 3)])
                drift = aggregates.rebuild(low, low + draw.choice([1, 30, 60]) * timedelta(hours=1), names).drift
                assert not any(drift.values()), (drift, seed)
            case _:
                aggregates = make_aggregates(stage.world.settings)
        assert stage.inconsistent() == []
    assert stage.settled() == []


def test_the_streams_hold_what_they_are_for() -> None:
    """Else the tests above would pass without having tried anything."""
    found = [tables(map(event_of, stream(seed).valid)) for seed in range(6)]
    flags = [flag for each in found for row in each["login_audit"] for flag in row[-1]]
    assert min(flags.count(flag) for flag in set(flags)) > 10
    assert len(set(flags)) == 7
    for name in COLUMNS:
        assert len(found[0][name]) > 10, name
    assert {row[1] for each in found for row in each["referrers_hourly"]} >= {""}
    assert any(row[1].date() != row[2].date() for each in found for row in each["sessions"])
    assert any(users for each in found for _, step, _, users in each["funnel_daily"] if step == 3)
