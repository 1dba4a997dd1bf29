"""A topic that is taken out of the settings with unread records is named."""

from typing import Any

import dagster as dg
import pytest

from assets.ingest import unconfigured_topics
from tests.sensors.test_kafka_offsets import Ticks
from tests.support.world import World, encoded, event

pytestmark = pytest.mark.services


def unread(world: World) -> Any:
    """Of topics that are not set, where another one is."""
    with world.worker.postgres.connect("test") as connection:
        return unconfigured_topics.unread_records(world.worker.kafka, connection, ("another",))


def test_a_topic_that_was_taken_out_is_named_once_there_is_something_to_read(world: World) -> None:
    world.produce(encoded(event()))
    assert unread(world) == {}  # never ingested: nobody's
    world.ingest()
    assert unread(world) == {}
    world.produce(encoded(event(), event()))
    assert unread(world) == {world.topic: 2}
    assert f"{world.topic} (2 unread)" in unconfigured_topics.describe(unread(world))


def test_the_sensor_says_so(world: World) -> None:
    world.produce(encoded(event()))
    world.ingest()
    world.produce(encoded(event()))
    world.worker.kafka.create_topic(f"{world.topic}-next", 1)
    topic, world.topic = world.topic, f"{world.topic}-next"
    with dg.DagsterInstance.ephemeral() as instance:
        _, said = Ticks(world, instance).tick()
    assert f"{topic} (1 unread)" in (said or "")


def test_kafka_is_asked_for_such_topics_once_a_minute_and_not_at_each_tick(world: World) -> None:
    world.produce(encoded(event()))
    world.ingest()
    world.produce(encoded(event()))
    now, asked = [0.0], list[float]()
    watched = unconfigured_topics.LeftOut(world.worker.kafka, ("another",), clock=lambda: now[0])
    with world.worker.postgres.connect("test") as connection:
        for now[0] in range(0, 121, 10):
            if (known := watched.known(connection)) is not None:
                asked.append(now[0])
            assert watched.unread(known) == {world.topic: 1}
    assert asked == [0, 60, 120]
