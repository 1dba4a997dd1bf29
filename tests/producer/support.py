"""What the producer's tests share: a starting time, a stream of events, a broker that does as it is told."""

import json
from collections import deque
from collections.abc import Iterator
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message

from producer.client import Report
from producer.config import ProducerConfig, Shares
from producer.population import Population
from producer.simulation import SimulatedEvent, Simulation
from producer.traffic import Outgoing, Traffic

# Sunday 18 May 2025, 14:00 UTC.
START_US = 1_747_576_800_000_000
MS = 1_000
HOUR = 3_600_000_000
DAY = 24 * HOUR


def events(count: int, seed: str = "s", users: int = 10_000, rate: float = 1_000.0) -> list[SimulatedEvent]:
    simulation = Simulation(Population(users), seed, rate)
    return [simulation.next(START_US + number * MS) for number in range(count)]


def config(**knobs: Any) -> ProducerConfig:
    return ProducerConfig(bootstrap_servers="broker:9092", **knobs)


def traffic(count: int, seed: int = 7, **shares: float) -> list[Outgoing]:
    stream = Traffic(config(count=count, shares=Shares(**shares)), seed)
    return [stream.next(START_US + number * MS) for number in range(count)]


def body(message: Outgoing) -> dict[str, Any]:
    return json.loads(message.value or b"null")


class FakeMessage:
    def __init__(self, value: bytes | None, key: bytes | None, partition: int, offset: int) -> None:
        self._value, self._key, self._partition, self._offset = value, key, partition, offset

    def __len__(self) -> int:
        return len(self._value or b"")

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes | None:
        return self._key

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset


class FakeClient:
    """A broker's client with room for `room` messages, which acknowledges on every poll unless it is `down`."""

    def __init__(self, room: int = 100_000) -> None:
        self.room = room
        self.down = False
        self.refuse: KafkaError | None = None
        self.fail: KafkaError | None = None
        self.polls = 0
        self.log: list[FakeMessage] = []
        self._queue: deque[tuple[FakeMessage, Report]] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def produce(self, topic: str, value: bytes | None, key: bytes | None, partition: int, on_delivery: Report) -> None:
        assert topic
        if self.refuse is not None:
            raise KafkaException(self.refuse)
        if len(self._queue) >= self.room:
            raise BufferError("Local: Queue full")
        message = FakeMessage(value, key, max(partition, 0), len(self.log) + len(self._queue))
        self._queue.append((message, on_delivery))

    def poll(self, timeout: float) -> int:
        assert timeout < 1
        self.polls += 1
        if self.down:
            return 0
        return self._settle(self.fail)

    def flush(self, timeout: float) -> int:
        return self.poll(timeout)

    def purge(self) -> None:
        self._settle(KafkaError(KafkaError._PURGE_QUEUE))

    def _settle(self, error: KafkaError | None) -> int:
        settled = len(self._queue)
        for message, report in self._drained():
            if error is None:
                self.log.append(message)
            report(error, cast("Message", message))
        return settled

    def _drained(self) -> Iterator[tuple[FakeMessage, Report]]:
        while self._queue:
            yield self._queue.popleft()
