"""How old the oldest record is that nobody has read: a look at the next record of each partition that is behind.

What belongs here: a consumer that looks and leaves no trace. What does not: which partitions are behind (`lag`).
"""

import math
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from resources.kafka import Kafka, close

_DEADLINE_SECONDS = 2.0
_MOST_PARTITIONS = 200
_MILLISECONDS = 1000.0
# One record a partition is wanted, so little is fetched ahead. The group is that of the ingest, which has rights to it
# where rights are given; a consumer that is assigned its partitions joins no group, and this one commits nothing.
_FRUGAL = {
    "queued.min.messages": 1,
    "queued.max.messages.kbytes": 1024,
    # With so short a queue the default of a second would be waited for at nearly every look.
    "fetch.queue.backoff.ms": 5,
    "fetch.message.max.bytes": 256 * 1024,
    "fetch.max.bytes": 4 * 1024 * 1024,
    "client.id": "millrace-metrics",
}


class Behind(NamedTuple):
    """A partition, the next offset to be read, and its end."""

    topic: str
    topic_id: UUID
    partition: int
    start: int
    end: int

    @property
    def lag(self) -> int:
        """How many offsets are unread."""
        return max(0, self.end - self.start)

    @property
    def topic_partition(self) -> tuple[UUID, int]:
        """The partition, of this generation of the topic."""
        return self.topic_id, self.partition


class Peeked(NamedTuple):
    """What the record at or after `start` says: a Unix time, None if it says none. No record: it never came."""

    start: int
    timestamp: float | None


_NEVER = math.inf


def age(stamps: Sequence[float | None], now: float) -> float | None:
    """Seconds since the oldest of them; 0 without a record, None where there may be one of which nothing is known."""
    oldest = min((stamp for stamp in stamps if stamp is not None), default=_NEVER)
    if oldest == _NEVER:
        return None if None in stamps else 0.0
    return max(0.0, now - oldest)


@dataclass
class Unread:
    """Looks, and remembers for as long as nothing is committed. Not for use by two threads at once."""

    kafka: Kafka
    deadline_seconds: float = _DEADLINE_SECONDS
    most: int = _MOST_PARTITIONS
    _seen: dict[tuple[UUID, int], Peeked] = field(default_factory=dict[tuple[UUID, int], Peeked], repr=False)
    _turn: int = 0
    _consumer: tuple[int, Consumer] | None = field(default=None, repr=False)

    def oldest(self, behind: Sequence[Behind], now: float) -> float | None:
        """Seconds since the oldest record came that is unread; 0 with nothing behind, None where nobody knows."""
        known = {b.topic_partition: self._seen.get(b.topic_partition) for b in behind}
        self._seen = {
            b.topic_partition: seen for b in behind if (seen := known[b.topic_partition]) and seen.start == b.start
        }
        self._seen.update(self._peek(self._chosen([b for b in behind if b.topic_partition not in self._seen])))
        return age(
            [self._seen[b.topic_partition].timestamp if b.topic_partition in self._seen else None for b in behind], now
        )

    def close(self) -> None:
        """Drop the consumer; the next look makes a new one."""
        kept, self._consumer = self._consumer, None
        if kept is not None and kept[0] == os.getpid():
            close(kept[1])

    def _chosen(self, asked: list[Behind]) -> list[Behind]:
        """So many at a time, in rotation."""
        if len(asked) <= self.most:
            return asked
        first = self._turn * self.most % len(asked)
        self._turn += 1
        return [*asked[first:], *asked[:first]][: self.most]

    def _peek(self, asked: Sequence[Behind]) -> dict[tuple[UUID, int], Peeked]:
        if not asked:
            return {}
        consumer, left = self._warm(), {(b.topic, b.partition): b for b in asked}
        found: dict[tuple[UUID, int], Peeked] = {}
        until = time.monotonic() + self.deadline_seconds
        try:
            consumer.assign([TopicPartition(b.topic, b.partition, b.start) for b in asked])
            while left and (wait := until - time.monotonic()) > 0:
                message = consumer.poll(wait)
                b = left.pop((message.topic() or "", _number(message.partition())), None) if message else None
                if message and b:
                    found.update(_read(b, message))
                    # What else was fetched of it is thrown away.
                    consumer.incremental_unassign([TopicPartition(b.topic, b.partition)])
            consumer.unassign()
        except KafkaException:
            self.close()
        return found

    def _warm(self) -> Consumer:
        if self._consumer is None or self._consumer[0] != os.getpid():
            self._consumer = (os.getpid(), self.kafka.consumer(**_FRUGAL))
        return self._consumer[1]


def _number(partition: int | None) -> int:
    return -1 if partition is None else partition


def _read(b: Behind, message: object) -> Iterable[tuple[tuple[UUID, int], Peeked]]:
    """What came for a partition: a record, its end (markers alone lay there), or trouble, which is no answer."""
    error: KafkaError | None = message.error()  # pyright: ignore[reportAttributeAccessIssue]
    if error is None:
        stamp: int = message.timestamp()[1]  # pyright: ignore[reportAttributeAccessIssue]
        yield b.topic_partition, Peeked(b.start, stamp / _MILLISECONDS if stamp > 0 else None)
    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own name for a local code
        yield b.topic_partition, Peeked(b.start, _NEVER)
