"""Which offsets to ingest next: a pure function of what is committed, what Kafka holds and who is at work.

What belongs here: the decision and its types. What does not: asking Kafka, PostgreSQL or Dagster for these facts
(`sensors.kafka_offsets`).
"""

import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from resources.kafka import Available, current_log, current_logs


class TopicIdPartition(NamedTuple):
    """A partition's log: a topic that is deleted and made again has another id, and so has a log that lost its end."""

    topic_id: UUID
    partition: int


class OffsetRange(NamedTuple):
    """Offsets `start` up to but not including `end` of one topic-partition.

    `end == start`: nothing to do now, but the partition belongs to the lane and is listened to while the run lingers.
    `end < start`: Kafka's log ends before what is committed; the run checks that and records the loss.
    """

    topic: str
    topic_partition: TopicIdPartition
    start: int
    end: int

    @property
    def size(self) -> int:
        """How many offsets to read."""
        return max(0, self.end - self.start)


class BatchPlan(NamedTuple):
    """What one run is to do: a lane's partitions, in order."""

    lane: int
    ranges: tuple[OffsetRange, ...]

    @property
    def size(self) -> int:
        """How many offsets to read."""
        return sum(r.size for r in self.ranges)


class PlanLimits(NamedTuple):
    """How the work is cut."""

    lanes: int
    max_events_per_run: int


def plan(
    committed: Mapping[TopicIdPartition, int],
    available: Iterable[Available],
    in_flight: Collection[int],
    limits: PlanLimits,
) -> list[BatchPlan]:
    """Cut what is not yet committed into one bounded plan for each lane that is free and has something to do.

    A partition that was never seen starts at the first offset that Kafka still has. One that is committed starts
    exactly there, even if Kafka has expired that offset since: the run records the gap.

    Args:
        committed: the next offset to store, by topic-partition.
        available: what Kafka holds.
        in_flight: lanes that have a run at work.
        limits: how the work is cut.

    Returns:
        The plans in the order of their lanes; each lists all partitions of its lane, at least one with work.
    """
    lanes: dict[int, list[OffsetRange]] = {}
    for found in sorted(current_logs(available, committed), key=lambda a: (a.topic, a.partition)):
        topic_partition = TopicIdPartition(found.topic_id, found.partition)
        start = committed.get(topic_partition, found.low)
        lane = lane_of(found.topic, found.partition, limits.lanes)
        lanes.setdefault(lane, []).append(OffsetRange(found.topic, topic_partition, start, found.high))
    return [
        BatchPlan(lane, _bounded(ranges, limits.max_events_per_run))
        for lane, ranges in sorted(lanes.items())
        if lane not in in_flight and any(r.end != r.start for r in ranges)
    ]


def without(
    available: Iterable[Available], aside: Collection[TopicIdPartition], committed: Mapping[TopicIdPartition, int]
) -> list[Available]:
    """The same without the partitions that are left aside; their lanes do not listen to them either.

    An answer of Kafka that holds one of them may never end, and the others' records are in it.
    """

    def topic_partition(a: Available) -> TopicIdPartition:
        return TopicIdPartition(current_log(a.topic_id, a.partition, committed), a.partition)

    return [a for a in available if topic_partition(a) not in aside]


def lane_of(topic: str, partition: int, lanes: int) -> int:
    """The lane of a partition: neighbours in different ones, and the same whatever partitions or topics are added."""
    return (zlib.crc32(topic.encode()) + partition) % lanes


def _bounded(ranges: list[OffsetRange], most: int) -> tuple[OffsetRange, ...]:
    """Hand out `most` offsets: every partition gets an equal share, what one leaves over goes to the others."""
    left, shares = most, {}
    for position, r in enumerate(sorted(ranges, key=lambda r: r.size)):
        fair = left // (len(ranges) - position)
        # With fewer offsets than partitions somebody must still come first.
        shares[r.topic_partition] = min(r.size, fair if fair or not left else 1)
        left -= shares[r.topic_partition]
    return tuple(r if r.end < r.start else r._replace(end=r.start + shares[r.topic_partition]) for r in ranges)
