"""What cannot be read, and what nobody reads, is told by topic and partition."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from assets.ingest.model import Unreadable
from assets.ingest.plan import TopicIdPartition
from assets.ingest.unreadable import UnreadableSince
from assets.ingest.withheld import together
from monitoring.metrics.reporter import MetricsReporter
from resources.kafka import Available
from tests.metrics.support import Gateway, leave_out, metrics_of, withhold
from tests.support.world import World, encoded, event

TOPIC, NOW = UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def reporter(world: World, gateway: Gateway) -> Iterator[MetricsReporter]:
    made = metrics_of(world, gateway)
    assert made.reporter is not None
    yield made.reporter
    made.close()


def met(partition: int) -> UnreadableSince:
    return UnreadableSince(
        Unreadable("orders", TopicIdPartition(TOPIC, partition), 7, "BAD_MSG: CRC"), NOW, recent=False
    )


def test_a_partition_is_named_once_by_what_kafka_says_now() -> None:
    found = together([met(0), met(10)], {"orders/0": "no leader"}, {("orders", "0"): 7}, None)
    assert [str(each) for each in found] == ["orders/0 at offset 7: no leader", "orders/10 at offset 7: BAD_MSG: CRC"]


def test_a_topic_that_kafka_does_not_describe_is_named_as_a_whole() -> None:
    [found] = together([], {"orders": "refused"}, {}, [])
    assert (str(found), found.labels) == ("orders/all: refused", ("orders", "all", "unknown", "refused"))


def test_a_partition_of_a_topic_that_is_gone_is_not_named() -> None:
    there = [Available("orders", TOPIC, 1, low=0, high=9)]
    assert [w.partition for w in together([met(0), met(1)], {}, {}, there)] == ["1"]


@pytest.mark.services
def test_a_partition_that_a_run_could_not_read_is_told_until_it_moves(
    world: World, gateway: Gateway, reporter: MetricsReporter
) -> None:
    world.produce(encoded(event()))
    withhold(world)
    reporter.turn()
    where = {"topic": world.topic, "partition": "0", "at_offset": "0", "error": "BAD_MSG: CRC"}
    assert gateway.get("millrace_partition_unreadable", **where) == 1
    world.ingest()
    again(reporter)
    assert gateway.get("millrace_partition_unreadable", topic=world.topic) is None


@pytest.mark.services
def test_unread_records_of_a_topic_that_was_taken_out_are_told(
    world: World, gateway: Gateway, reporter: MetricsReporter
) -> None:
    topic = leave_out(world, unread=3)
    reporter.turn()
    assert gateway.get("millrace_topic_left_out_events", topic=topic) == 3


def again(reporter: MetricsReporter) -> None:
    """As if a group's interval had passed."""
    reporter._tried.clear()  # pyright: ignore[reportPrivateUsage]
    reporter.turn()
