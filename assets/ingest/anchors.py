"""The last committed record of a topic-partition, by which a later run sees that the log is still the same.

What belongs here: what is remembered of a record, and reading it. What does not: what follows from a log that is
another (`log_replacement`).
"""

import hashlib
import struct
from collections.abc import Collection
from typing import NamedTuple

from assets.ingest.model import Chunk, Record
from assets.ingest.plan import OffsetRange, TopicIdPartition
from assets.ingest.sql import statement
from resources.kafka import KafkaUnavailable
from resources.postgres import Connection

_NUMBERS = struct.Struct(">qqq")


class LogOverwritten(Exception):
    """The log of a range's partition is not the one that was committed: it lost its end, and may have grown again."""

    def __init__(self, r: OffsetRange) -> None:
        super().__init__(f"{r.topic}/{r.topic_partition.partition}")
        self.range = r


class LogChanged(KafkaUnavailable):
    """The log was cut while it was read. Nothing is lost yet: the next run looks at it first."""


class Anchor(NamedTuple):
    """A record: its offset, and a digest of its time, key and value."""

    offset: int
    digest: bytes


def of_record(record: Record) -> Anchor:
    """What is remembered of a Kafka record."""
    kind, millis = record.timestamp()
    digest = hashlib.blake2b(_NUMBERS.pack(record.offset(), kind, millis), digest_size=16)
    for part in (record.key(), record.value()):
        digest.update(b"-" if part is None else struct.pack(">q", len(part)) + part)
    return Anchor(record.offset(), digest.digest())


def of_chunk(chunk: Chunk) -> dict[int, Anchor]:
    """The last record of each range that has one, by the position of the range."""
    last = dict(zip(chunk.sources, chunk.records, strict=True))
    return {source: of_record(record) for source, record in last.items()}


def read(connection: Connection, ranges: Collection[OffsetRange]) -> dict[TopicIdPartition, Anchor]:
    """The anchors of those ranges that begin at the committed offset."""
    found = connection.execute(
        statement("anchors"),
        {
            "topic_ids": [r.topic_partition.topic_id for r in ranges],
            "partitions": [r.topic_partition.partition for r in ranges],
            "starts": [r.start for r in ranges],
        },
    )
    return {
        TopicIdPartition(topic_id, partition): Anchor(offset, digest) for topic_id, partition, offset, digest in found
    }


def of_batches(connection: Connection, r: OffsetRange) -> list[Anchor]:
    """The last record of each batch before the range, in the order of offsets, as far as the ledger still has them."""
    found = connection.execute(
        statement("anchors_of_batches"),
        {"topic_id": r.topic_partition.topic_id, "partition": r.topic_partition.partition, "start": r.start},
    )
    return [Anchor(*row) for row in found]
