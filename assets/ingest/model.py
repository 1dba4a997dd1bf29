"""The shapes that travel through a chunk: records as pulled, as decoded, and what became of them.

What belongs here: frozen or append-only data, and what follows from it alone. What does not: anything that reads or
writes.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from assets.ingest.plan import OffsetRange, TopicIdPartition
from contract.codes import RejectionCode
from contract.decoder import Event


class Gap(NamedTuple):
    """Offsets that are lost at the source; `end` is None where nobody can know it."""

    topic: str
    topic_partition: TopicIdPartition
    start: int
    end: int | None
    reason: str


class Unreadable(NamedTuple):
    """A partition that Kafka does not hand out: the offset at which it stands, and the error, by name and in words."""

    topic: str
    topic_partition: TopicIdPartition
    offset: int
    error: str

    def __str__(self) -> str:
        """As logs, errors and causes name it."""
        return f"{self.topic}/{self.topic_partition.partition} at offset {self.offset}: {self.error}"


class Record(Protocol):
    """A Kafka record, as `confluent_kafka.Message` has it, or a dead letter that was read back."""

    def offset(self) -> int:
        """Its offset."""
        ...

    def key(self) -> bytes | None:
        """The key, byte for byte."""
        ...

    def value(self) -> bytes | None:
        """The value, byte for byte; None is a tombstone."""
        ...

    def headers(self) -> Any:
        """Names and values of the headers."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """The kind of the timestamp, and milliseconds since 1970."""
        ...


@dataclass(frozen=True)
class Chunk:
    """Kafka records of one transaction, and exactly the offsets they account for.

    `sources[i]` is the position in `ranges` of the topic-partition of `records[i]`.
    """

    ranges: tuple[OffsetRange, ...]
    records: Sequence[Record]
    sources: list[int]
    gaps: tuple[Gap, ...] = ()
    pull_seconds: float = 0.0

    @cached_property
    def offsets(self) -> list[int]:
        """The offset of each record, asked for once: several steps need them."""
        return [record.offset() for record in self.records]

    @property
    def moves(self) -> bool:
        """Whether committing it changes anything."""
        return any(r.end != r.start for r in self.ranges) or bool(self.gaps)


class Anchor(NamedTuple):
    """The last committed record of a topic-partition: its offset, and a digest of its time, key and value.

    A later run sees by it that the log is still the same.
    """

    offset: int
    digest: bytes


def anchor_of(record: Record) -> Anchor:
    """What is remembered of a Kafka record."""
    kind, millis = record.timestamp()
    digest = hashlib.blake2b(struct.pack(">qqq", record.offset(), kind, millis), digest_size=16)
    for part in (record.key(), record.value()):
        digest.update(b"-" if part is None else struct.pack(">q", len(part)) + part)
    return Anchor(record.offset(), digest.digest())


def last_anchors(chunk: Chunk) -> dict[TopicIdPartition, Anchor]:
    """The last record of each topic-partition that has one in the chunk."""
    last = dict(zip(chunk.sources, chunk.records, strict=True))
    return {chunk.ranges[source].topic_partition: anchor_of(record) for source, record in last.items()}


class Accepted(NamedTuple):
    """An event and the position of its record in the chunk."""

    position: int
    event: Event


class RejectedRecord(NamedTuple):
    """A record that is no valid event, by its position in the chunk."""

    position: int
    code: RejectionCode
    reason: str


@dataclass(frozen=True)
class Decoded:
    """A chunk after decoding: every record is in exactly one of the three lists."""

    chunk: Chunk
    accepted: list[Accepted]
    refused: list[RejectedRecord]
    tombstones: list[int]
    decode_seconds: float = 0.0


@dataclass(frozen=True)
class Deduplicated:
    """What Redis made of the accepted events.

    `event_writer` are to be stored; `duplicates` are certain duplicates, by position. `undecided` maps the position of
    an event whose id somebody else claimed to that claim's occurred_at (microseconds since the epoch).
    """

    rows: list[Accepted]
    duplicates: list[int]
    undecided: dict[int, int]
    degraded: bool
    claim_seconds: float = 0.0


@dataclass
class Counts:
    """What became of records. Without `records` itself, the fields sum up to it, always."""

    records: int = 0
    stored: int = 0
    duplicates_redis: int = 0
    duplicates_postgres: int = 0
    dead_letters: int = 0
    tombstones: int = 0
    erased: int = 0
    expired: int = 0

    @property
    def duplicates(self) -> int:
        """From either source."""
        return self.duplicates_redis + self.duplicates_postgres

    def __sub__(self, other: "Counts") -> "Counts":
        """Field by field."""
        return Counts(*(a - b for a, b in zip(_fields(self), _fields(other), strict=True)))

    def __add__(self, other: "Counts") -> "Counts":
        """Field by field."""
        return Counts(*(a + b for a, b in zip(_fields(self), _fields(other), strict=True)))


def _fields(counts: Counts) -> tuple[int, ...]:
    return tuple(vars(counts).values())


@dataclass
class Outcome:
    """What storing a chunk did, by the rows that are really there: positions of records, each in exactly one list."""

    path: str = "none"
    stored: list[int] = field(default_factory=list[int])
    present: list[int] = field(default_factory=list[int])
    duplicates: list[int] = field(default_factory=list[int])
    refused: list[RejectedRecord] = field(default_factory=list[RejectedRecord])
    erased: list[int] = field(default_factory=list[int])
    expired: list[int] = field(default_factory=list[int])

    def __add__(self, other: "Outcome") -> "Outcome":
        """List by list, by the path of the first."""
        lists = {name: mine + getattr(other, name) for name, mine in vars(self).items() if name != "path"}
        return Outcome(self.path, **lists)
