"""A byte for every committed offset of a partition: was it seen in Kafka, in the events, in the dead letters?

What belongs here: marking and counting in memory (one byte an offset). What does not: reading anything.
"""

from dataclasses import dataclass, field

import numpy as np

from assets.ingest.plan import TopicIdPartition

STORED = np.uint8(1)
DEAD = np.uint8(2)
SEEN = np.uint8(4)
DUPLICATE = np.uint8(8)
TOMBSTONE = np.uint8(16)
ERASED = np.uint8(32)
EXPIRED = np.uint8(64)

Offsets = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass
class OffsetMap:
    """What is known of the offsets `base` up to `end` of one topic-partition."""

    topic: str
    topic_partition: TopicIdPartition
    base: int
    end: int
    twice: list[int] = field(default_factory=list[int])
    beyond: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        """All offsets begin unmarked."""
        self.flags = np.zeros(max(0, self.end - self.base), dtype=np.uint8)

    def put(self, offsets: Offsets, mark: np.uint8) -> None:
        """Mark offsets; remembers those that carry the mark already, and those outside of what is committed."""
        inside = offsets[(offsets >= self.base) & (offsets < self.end)]
        if len(inside) != len(offsets):
            self.beyond.extend(np.setdiff1d(offsets, inside).tolist())
        at = inside - self.base
        unique, counts = np.unique(at, return_counts=True)
        again = unique[(counts > 1) | ((self.flags[unique] & mark) != 0)]
        self.twice.extend((again + self.base).tolist())
        self.flags[unique] |= mark

    def count(self, mark: np.uint8) -> int:
        """How many offsets carry the mark."""
        return int(np.count_nonzero(self.flags & mark))

    def offsets(self, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> list[int]:
        """The offsets chosen by a condition on `flags`."""
        return (np.nonzero(chosen)[0] + self.base).tolist()

    def missing(self) -> list[int]:
        """Seen in Kafka, and nothing became of it."""
        return self.offsets(self.flags == SEEN)

    def doubled(self) -> list[int]:
        """Stored twice, or both stored and refused."""
        both = (self.flags & STORED != 0) & (self.flags & DEAD != 0)
        return sorted({*self.twice, *self.offsets(both)})
