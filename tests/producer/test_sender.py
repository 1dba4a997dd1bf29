"""The sender: nothing is lost when there is no room, and only acknowledgements count."""

import json
from collections.abc import Iterable
from pathlib import Path
from threading import Event

import pytest
from confluent_kafka import KafkaError

from producer.sender import Sender
from producer.sent_log import SentEntry, SentLog, read
from producer.traffic import Outgoing
from tests.producer.support import FakeClient, traffic


class Bench:
    """A sender with a broker that does as it is told."""

    def __init__(self, path: Path, room: int = 100_000) -> None:
        self.client, self.stop, self.abandon = FakeClient(room), Event(), Event()
        self.path = path / "ledger.jsonl"
        self.ledger = SentLog(self.path)
        self.sender = Sender(self.client, "events", 4, self.ledger, self.stop, self.abandon)

    def send(self, messages: Iterable[Outgoing]) -> list[bool]:
        return [self.sender.send(message) for message in messages]

    def entries(self) -> list[SentEntry]:
        self.ledger.close()
        return read(self.path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_acknowledged_is_counted_by_class_and_type_and_written_down(bench: Bench):
    messages = traffic(200, duplicates=0.1, invalid=0.1, tombstones=0.1)
    bench.send(messages)
    assert bench.sender.tally.acknowledged == 0
    bench.sender.drain()
    tally = bench.sender.tally
    assert (tally.sent, tally.acknowledged, tally.failed) == (200, 200, 0)
    assert tally.by_class["duplicate"] == tally.by_class["tombstone"] == 20
    entries = bench.entries()
    assert [entry.event_id for entry in entries] == [message.event_id for message in messages]
    assert [entry.offset for entry in entries] == list(range(200))
    assert all(entry.acknowledged for entry in entries)


def test_without_room_it_polls_and_loses_nothing(tmp_path: Path):
    bench = Bench(tmp_path, room=7)
    waits: list[int] = []
    bench.sender.on_wait = lambda: waits.append(1)
    messages = traffic(100)
    assert all(bench.send(messages))
    bench.sender.drain()
    assert [message.value() for message in bench.client.log] == [message.value for message in messages]
    assert waits


def test_a_stop_while_there_is_no_room_ends_the_wait_and_the_message_was_never_sent(tmp_path: Path):
    bench = Bench(tmp_path, room=5)
    bench.client.down = True
    bench.sender.on_wait = bench.stop.set
    assert bench.send(traffic(10)) == [True] * 5 + [False] * 5
    assert bench.sender.tally.sent == 5


def test_failed_deliveries_are_counted_by_reason_and_are_not_acknowledged(bench: Bench):
    bench.client.fail = KafkaError(KafkaError._MSG_TIMED_OUT)
    bench.send(traffic(10))
    bench.sender.drain()
    tally = bench.sender.tally
    assert (tally.acknowledged, tally.failed, sum(tally.errors.values())) == (0, 10, 10)
    assert {(entry.acknowledged, entry.offset) for entry in bench.entries()} == {(False, None)}


def test_a_refused_message_is_a_failure_and_the_next_one_is_tried(bench: Bench):
    first, second = traffic(2)
    bench.client.refuse = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    bench.sender.send(first)
    bench.client.refuse = None
    bench.sender.send(second)
    bench.sender.drain()
    assert (bench.sender.tally.acknowledged, bench.sender.tally.failed) == (1, 1)
    assert [entry.acknowledged for entry in bench.entries()] == [False, True]


def test_a_fatal_error_stops_it(bench: Bench):
    bench.client.refuse = KafkaError(KafkaError._FATAL, fatal=True)
    assert bench.send(traffic(3)) == [True, False, False]
    assert bench.stop.is_set()


def test_giving_up_ends_the_drain_and_leaves_the_rest_unacknowledged(bench: Bench):
    bench.send(traffic(10))
    bench.client.down = True
    bench.sender.on_wait = bench.abandon.set
    bench.sender.drain()
    assert bench.sender.tally.failed == 10
    assert not any(entry.acknowledged for entry in bench.entries())


def test_the_fast_path_waits_for_room_too_and_keeps_the_same_books(tmp_path: Path):
    bench = Bench(tmp_path, room=7)
    messages = traffic(100)
    assert bench.sender.send_all((message.key, message.value or b"", message.type) for message in messages)
    bench.sender.drain()
    assert [entry.event_id for entry in bench.entries()] == [message.event_id for message in messages]
    assert bench.sender.tally.by_class == {"valid": 100}
    assert bench.sender.tally.by_type.total() == 100


def test_strays_go_to_the_partition_they_name(bench: Bench):
    message = traffic(1)[0]
    bench.sender.send(Outgoing("duplicate", message.type, message.event_id, message.key, message.value, 0.99))
    bench.sender.drain()
    assert bench.client.log[0].partition() == 3


def test_a_ledger_that_was_cut_off_can_be_read_up_to_there(bench: Bench):
    bench.send(traffic(3))
    bench.sender.drain()
    bench.ledger.flush()
    whole = bench.path.read_bytes()
    assert set(json.loads(whole.splitlines()[0])) == {
        "eventId", "class", "type", "key", "partition", "offset", "acknowledged",
    }  # fmt: skip
    bench.path.write_bytes(whole[:-10])
    assert len(read(bench.path)) == 2
