"""Positions, ends and holes, with a consumer that says exactly what the test wants it to say."""

import time
from collections.abc import Iterator
from typing import Any, cast
from uuid import UUID

import pytest
from confluent_kafka import KafkaError

from assets.ingest.model import Chunk
from assets.ingest.plan import OffsetRange, TopicIdPartition
from assets.ingest.pull import PartitionsUnreadable, Puller, PullLimits
from resources.kafka import Available, KafkaUnavailable

TOPIC = UUID(int=1)


class Said:
    """A record, the end of a partition, or an error."""

    def __init__(self, partition: int, offset: int, *, end: bool = False, error: int | None = None) -> None:
        self._partition, self._offset = partition, offset
        self._error = KafkaError._PARTITION_EOF if end else error

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return b"x"

    def error(self) -> KafkaError | None:
        return None if self._error is None else KafkaError(self._error)


def records(partition: int, start: int, end: int) -> list[Said]:
    return [Said(partition, offset) for offset in range(start, end)]


class Scripted:
    """A consumer that says one batch at each call, and nothing when it has said all."""

    def __init__(self, *batches: list[Said]) -> None:
        self._batches = list(batches)

    def assign(self, _partitions: object) -> None: ...

    def unassign(self) -> None: ...

    def incremental_assign(self, _partitions: object) -> None: ...

    def incremental_unassign(self, _partitions: object) -> None: ...

    def consume(self, _most: int, seconds: float) -> list[Said]:
        if self._batches:
            return self._batches.pop(0)
        time.sleep(min(seconds, 0.01))
        return []


def pulled(ranges: tuple[OffsetRange, ...], *batches: list[Said], **limits: Any) -> list[Chunk]:
    return list(pulling(ranges, *batches, **limits))


def pulling(ranges: tuple[OffsetRange, ...], *batches: list[Said], **limits: Any) -> Iterator[Chunk]:
    bounds = PullLimits(chunk_events=1_000, chunk_bytes=1 << 20, stall_seconds=0.05)._replace(**limits)
    return Puller(cast("Any", Nowhere()), cast("Any", Scripted(*batches)), ranges, bounds).chunks()


class Nowhere:
    """A Kafka that answers nobody."""

    def available(self, _topics: object, _troubles: object = None) -> list[Available]:
        raise KafkaUnavailable("nobody answers")


def rng(partition: int, start: int, end: int) -> OffsetRange:
    return OffsetRange("t", TopicIdPartition(TOPIC, partition), start, end)


def covered(chunks: list[Chunk]) -> list[tuple[int, int, int]]:
    return [(r.topic_partition.partition, r.start, r.end) for c in chunks for r in c.ranges if r.start != r.end]


def offsets(chunks: list[Chunk]) -> list[tuple[int, int]]:
    return [
        (c.ranges[source].topic_partition.partition, record.offset())
        for c in chunks
        for source, record in zip(c.sources, c.records, strict=True)
    ]


def test_an_end_of_partition_beyond_the_plan_does_not_move_the_range_over_records_that_were_left_out() -> None:
    """Another partition is still being read when the end of the first one comes, far behind what was planned of it."""
    batches = [records(0, 0, 300), [Said(0, 300, end=True), *records(1, 0, 20)]]
    chunks = pulled((rng(0, 0, 10), rng(1, 0, 20)), *batches)
    assert covered(chunks) == [(0, 0, 10), (1, 0, 20)]
    assert offsets(chunks) == [*((0, n) for n in range(10)), *((1, n) for n in range(20))]


def test_markers_at_the_end_of_a_range_are_not_waited_for() -> None:
    chunks = pulled((rng(0, 0, 12),), [*records(0, 0, 10), Said(0, 12, end=True)])
    assert covered(chunks) == [(0, 0, 12)]
    assert len(offsets(chunks)) == 10


def test_a_record_behind_a_range_proves_that_a_hole_at_its_end_is_one() -> None:
    chunks = pulled((rng(0, 0, 12),), [*records(0, 0, 10), Said(0, 15)])
    assert covered(chunks) == [(0, 0, 12)]
    assert len(offsets(chunks)) == 10


def test_a_record_that_comes_twice_is_taken_once() -> None:
    chunks = pulled((rng(0, 0, 4),), [*records(0, 0, 3), *records(0, 1, 4)])
    assert offsets(chunks) == [(0, n) for n in range(4)]


def test_a_lingering_run_takes_what_lies_behind_its_plan_and_nothing_is_left_out() -> None:
    batches = [[*records(0, 0, 15), Said(0, 15, end=True)], records(0, 15, 18)]
    chunks = pulled((rng(0, 0, 10),), *batches, linger_seconds=0.3)
    assert offsets(chunks) == [(0, n) for n in range(18)]
    assert covered(chunks) == [(0, 0, 15), (0, 15, 18)]


def test_chunks_follow_each_other_without_a_hole() -> None:
    chunks = pulled((rng(0, 5, 25),), records(0, 5, 15), records(0, 15, 25), chunk_events=10)
    assert covered(chunks) == [(0, 5, 15), (0, 15, 25)]


def test_a_chunk_is_cut_by_bytes_too() -> None:
    chunks = pulled((rng(0, 0, 20),), *([Said(0, n)] for n in range(20)), chunk_bytes=5)
    assert [len(c.records) for c in chunks] == [5, 5, 5, 5]


def test_silence_is_an_infrastructure_fault_and_not_an_end() -> None:
    with pytest.raises(KafkaUnavailable, match="no record came"):
        pulled((rng(0, 0, 5),), records(0, 0, 2))


def test_a_silent_partition_keeps_neither_what_came_of_it_nor_the_other_partitions() -> None:
    coming = pulling((rng(0, 0, 5), rng(1, 0, 3)), [*records(0, 0, 2), *records(1, 0, 3)])
    assert covered([next(coming)]) == [(0, 0, 2), (1, 0, 3)]
    with pytest.raises(PartitionsUnreadable, match=r"t/0 at offset 2: no record came for 0 s"):
        next(coming)


def test_nothing_is_taken_behind_a_batch_that_came_as_an_error() -> None:
    """The client skips some of what it cannot read; the records behind would hide what is missing."""
    damaged = Said(0, 2, error=KafkaError._BAD_MSG)
    coming = pulling((rng(0, 0, 9), rng(1, 0, 3)), [*records(0, 0, 2), damaged, *records(0, 5, 9), *records(1, 0, 3)])
    assert covered([next(coming)]) == [(0, 0, 2), (1, 0, 3)]
    with pytest.raises(PartitionsUnreadable, match=r"t/0 at offset 2: BAD_MSG: "):
        next(coming)


def test_what_was_read_does_not_wait_for_a_partition_that_is_slow() -> None:
    batches = [records(1, 0, 3), *([] for _ in range(5)), records(0, 0, 2)]
    chunks = pulled((rng(0, 0, 2), rng(1, 0, 3)), *batches, chunk_seconds=0.0, stall_seconds=60.0)
    assert covered(chunks) == [(1, 0, 3), (0, 0, 2)]
