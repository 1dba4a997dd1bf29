"""A dead letter with the face of the Kafka record that it was, so that the ingest's own steps take it.

What belongs here: reading dead letters back, and a chunk made of them. What does not: decoding and storing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE

from assets.dead_letters.sql import statement
from assets.ingest.dead_letter_history import PriorAttempt
from assets.ingest.model import Chunk
from assets.ingest.plan import OffsetRange, TopicIdPartition
from resources.postgres import Connection


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter. Its methods are those of a `confluent_kafka.Message` that the ingest calls."""

    dead_letter_id: int
    topic: str
    topic_id: UUID
    partition: int
    kafka_offset: int
    kept_key: bytes | None
    kept_value: bytes | None
    header_names: list[bytes]
    header_values: list[bytes | None]
    kafka_timestamp: datetime | None
    code: str
    reason: str
    status: str
    start_offset: int | None
    end_offset: int | None

    def offset(self) -> int:
        """Kafka's offset."""
        return self.kafka_offset

    def key(self) -> bytes | None:
        """The key, byte for byte."""
        return self.kept_key

    def value(self) -> bytes | None:
        """The value, byte for byte."""
        return self.kept_value

    def headers(self) -> list[tuple[bytes, bytes | None]]:
        """Names and values of the headers."""
        return list(zip(self.header_names, self.header_values, strict=True))

    def timestamp(self) -> tuple[int, int]:
        """The kind of the timestamp and milliseconds since 1970."""
        if self.kafka_timestamp is None:
            return TIMESTAMP_NOT_AVAILABLE, -1
        return TIMESTAMP_CREATE_TIME, round(self.kafka_timestamp.timestamp() * 1000)

    def range(self) -> OffsetRange:
        """The range of the ledger that the record was counted in, so that a replay of it finds what is recorded here.

        Where the ledger has none: the record's own.
        """
        topic_partition = TopicIdPartition(self.topic_id, self.partition)
        if self.start_offset is None or self.end_offset is None:
            return OffsetRange(self.topic, topic_partition, self.kafka_offset, self.kafka_offset + 1)
        return OffsetRange(self.topic, topic_partition, self.start_offset, self.end_offset)

    def known(self) -> PriorAttempt:
        """As the history knows it."""
        return PriorAttempt(self.dead_letter_id, self.status, self.code, self.reason, None)


def read(connection: Connection, ids: Collection[int], statuses: Collection[str], run_id: str) -> list[DeadLetter]:
    """Those of the dead letters that have one of the statuses and that this run has not tried, by coordinate."""
    wanted = {"ids": list(ids), "statuses": list(statuses), "by": run_id}
    return [DeadLetter(*row) for row in connection.execute(statement("read_dead_letters"), wanted)]


def chunk_of(dead_letters: Sequence[DeadLetter]) -> Chunk:
    """A chunk of these records and of the ranges that they are counted in."""
    ranges = list(dict.fromkeys(dead_letter.range() for dead_letter in dead_letters))
    at = {r: source for source, r in enumerate(ranges)}
    return Chunk(tuple(ranges), list(dead_letters), [at[dead_letter.range()] for dead_letter in dead_letters])
