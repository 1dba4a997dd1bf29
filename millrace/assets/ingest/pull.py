"""Reads exactly the planned offsets from Kafka, cut into chunks that fit into memory.

What belongs here: positions, ends, holes and gaps. What does not: what a record means (`events`), what is committed
(`store`). A range is done when the consumer's position or an end-of-partition event reaches its end; the record at
`end - 1` may not exist (transaction markers, aborted records, compaction).
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from millrace.assets.ingest import anchors
from millrace.assets.ingest.anchors import Anchor, LogChanged, LogOverwritten
from millrace.assets.ingest.model import Chunk, Gap
from millrace.assets.ingest.plan import Place, Range
from millrace.resources import generations
from millrace.resources.kafka import Kafka, KafkaUnavailable

_NO_BOUND = 1 << 63
_POLL_RECORDS = 4_000
_POLL_SECONDS = 0.1
# Commits cost more than they gain below this distance; it is a quarter of what the sensor can do.
_LINGER_CHUNK_SECONDS = 0.25
_REGRESSION_RECHECK_SECONDS = 2.0
# What the other partitions delivered waits no longer than this for one that is silent.
_QUIET_SECONDS = 1.0
# After a batch that librdkafka cannot parse, its own position is a number out of the damaged bytes: what it says
# next is not to be believed, be it a record or an offset out of range. It begins anew at ours, after a pause.
_DAMAGED = (KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED)  # noqa: SLF001 - so named
_DAMAGE_PAUSE_SECONDS = 1.0


class PartitionUnreadable(KafkaUnavailable):
    """Partitions that answer ListOffsets and not Fetch; all that could be read beside them is committed."""


class TopicReplaced(Exception):
    """The topic was deleted or re-created since the plan was made: its records are no longer those of the plan."""


def verify_generation(kafka: Kafka, ranges: tuple[Range, ...]) -> None:
    """Make sure that the topics are still those that were planned.

    Raises:
        TopicReplaced: Kafka gives another id to a topic by now, or none.
        KafkaUnavailable: Kafka cannot be asked.
    """
    ids = kafka.topic_ids(sorted({r.topic for r in ranges}))
    for r in ranges:
        if r.topic not in ids or not generations.same_topic(ids[r.topic][0], r.place.topic_id):
            raise TopicReplaced(r.topic)


class PullLimits(NamedTuple):
    """Bounds of a pull: a chunk's size, the patience without a record, and the time after the plan is done."""

    chunk_events: int
    chunk_bytes: int
    stall_seconds: float
    linger_seconds: float = 0.0
    linger_events: int = 1_000_000


class _Collected:
    """The records of the chunk that is being filled."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.sources: list[int] = []
        self.gaps: list[Gap] = []
        self.bytes = 0


class Puller:
    """Turns ranges into chunks with one consumer. Not for use by two threads at once."""

    def __init__(
        self,
        kafka: Kafka,
        consumer: Consumer,
        ranges: tuple[Range, ...],
        limits: PullLimits,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        known: Mapping[Place, Anchor] = MappingProxyType({}),
    ) -> None:
        self._kafka, self._consumer, self._limits = kafka, consumer, limits
        self._clock, self._sleep = clock, sleep
        self._ranges = ranges
        # Records that were committed last: reading begins with them, to see that the log is still that one.
        self._known = {i: known[r.place] for i, r in enumerate(ranges) if r.place in known and r.end >= r.start}
        self._index = {(r.topic, r.place.partition): i for i, r in enumerate(ranges)}
        # A lingering run takes whatever comes; without lingering a plan ends exactly where it says.
        self._bound = [_NO_BOUND if limits.linger_seconds else r.end for r in ranges]
        self._start = [r.start for r in ranges]  # where the next chunk begins
        self._position = [r.start for r in ranges]  # up to where everything was seen
        # By partition: polled for so long without news, and what librdkafka said last of what it tries again by itself.
        self._silent = [0.0 for _ in ranges]
        self._trouble = ["" for _ in ranges]
        self._aside: set[int] = set()  # could not be read: not asked for any more
        self._damaged: dict[int, int] = {}  # at which offset
        self._paused: dict[int, float] = {}  # damaged: until when nothing is asked of it
        self._all_silent = 0.0

    def chunks(self) -> Generator[Chunk, None, None]:
        """Chunks until every range is done, then, while lingering, what arrives.

        Raises:
            KafkaUnavailable: no partition delivered anything, nor said why, for `stall_seconds`.
            PartitionUnreadable: at the end, when everything else was read: some partitions could not be.
            TopicReplaced: it is not the topic that was planned any more.
            LogOverwritten: a log ends before what is committed, or holds another record there.
        """
        self._look_for_regressions()
        self._consumer.assign(
            [TopicPartition(r.topic, r.place.partition, self._first(i)) for i, r in enumerate(self._ranges)]
        )
        try:
            while self._planned_left():
                yield self._planned_chunk()
            yield from self._lingering()
        finally:
            self._consumer.unassign()
        if self._aside:
            raise PartitionUnreadable("; ".join(self._told(source) for source in sorted(self._aside)))

    def _planned_chunk(self) -> Chunk:
        collected, began = _Collected(), self._clock()
        while not self._full(collected) and self._planned_left():
            # Asking for no more than is left returns as soon as it is there instead of waiting for the time to pass.
            lively = self._planned_left(quiet_for=_QUIET_SECONDS)
            if not lively and (collected.records or collected.gaps):
                break
            self._poll(collected, _POLL_SECONDS, lively or _POLL_RECORDS)
            self._put_aside()
        return self._cut(collected, began)

    def _put_aside(self) -> None:
        """Give up, for this run, what was silent for too long: its range ends where it stands."""
        found = [
            source
            for source, silent in enumerate(self._silent)
            if source not in self._aside and self._left(source) and silent > self._limits.stall_seconds
        ]
        all_silent = self._all_silent > self._limits.stall_seconds
        if found and all_silent and not any(self._trouble[source] for source in found):
            raise KafkaUnavailable(f"no record came for {self._limits.stall_seconds:.0f} s: {self._told(found[0])}")
        for source in found:
            self._aside.add(source)
            r = self._ranges[source]
            if self._paused.pop(source, None) is None:
                self._consumer.incremental_unassign([TopicPartition(r.topic, r.place.partition)])

    def _pause(self, source: int) -> None:
        r = self._ranges[source]
        self._consumer.incremental_unassign([TopicPartition(r.topic, r.place.partition)])
        self._damaged[source] = self._position[source]
        self._paused[source] = self._clock() + _DAMAGE_PAUSE_SECONDS

    def _resume(self) -> None:
        for source in [source for source, until in self._paused.items() if self._clock() >= until]:
            del self._paused[source]
            r = self._ranges[source]
            at = self._first(source) if source in self._known else self._position[source]
            self._consumer.incremental_assign([TopicPartition(r.topic, r.place.partition, at)])

    def _told(self, source: int) -> str:
        r, said = self._ranges[source], self._trouble[source] or "no answer to Fetch"
        return f"{r.topic}/{r.place.partition} at offset {self._position[source]}: {said}"

    def _lingering(self) -> Iterator[Chunk]:
        until = self._clock() + self._limits.linger_seconds
        left = self._limits.linger_events
        while self._clock() < until and left > 0:
            collected, began = _Collected(), self._clock()
            enough = min(began + _LINGER_CHUNK_SECONDS, until)
            while not self._full(collected) and (wait := enough - self._clock()) > 0:
                self._poll(collected, wait, _POLL_RECORDS)
            chunk = self._cut(collected, began)
            left -= len(chunk.records)
            if chunk.moves:
                yield chunk

    def _poll(self, collected: _Collected, seconds: float, most: int) -> None:
        """Take what Kafka has. Only time spent here is a partition's silence, not that of decoding or storing."""
        self._resume()
        began, before = self._clock(), list(self._position)
        self._take(collected, seconds, most)
        spent = self._clock() - began
        self._all_silent = self._all_silent + spent if before == self._position else 0.0
        for source, (was, at) in enumerate(zip(before, self._position, strict=True)):
            if was == at:
                self._silent[source] += spent
            else:
                self._silent[source] = 0.0
                if source not in self._paused:
                    self._trouble[source] = ""

    def _take(self, collected: _Collected, seconds: float, most: int) -> None:
        most = min(most, _POLL_RECORDS, self._limits.chunk_events - len(collected.records))
        messages: list[Any] = self._consumer.consume(most, seconds)
        index, position = self._index, self._position
        for message in messages:
            error = message.error()
            if error is not None:
                self._event(error, message, collected)
                continue
            source = index.get((message.topic(), message.partition()))
            offset = message.offset()
            if source in self._paused or source in self._aside:
                continue
            if source is None or offset < position[source]:
                self._compare(source, message)
                continue  # not asked for, or seen already: nothing is accounted for twice, whatever the client does
            if offset >= self._bound[source]:
                # Not ours, but it proves that nothing before it is missing: what lies between is a hole.
                self._reach(source, offset)
                continue
            position[source] = offset + 1
            collected.records.append(message)
            collected.sources.append(source)
            collected.bytes += len(message.value() or b"")

    def _first(self, source: int) -> int:
        return self._known[source].offset if source in self._known else self._ranges[source].start

    def _compare(self, source: int | None, message: Any) -> None:
        known = None if source is None else self._known.get(source)
        if source is None or known is None or known.offset != message.offset():
            return
        if anchors.of_record(message) != known:
            raise LogOverwritten(self._ranges[source])
        del self._known[source]

    def _event(self, error: KafkaError, message: Any, collected: _Collected) -> None:
        """What comes in place of a record: an end, an offset that is gone, or trouble."""
        if error.fatal():
            raise KafkaException(error)
        code, source = error.code(), self._index.get((message.topic(), message.partition()))
        if source is None or source in self._aside or source in self._paused:
            return  # about a broker: librdkafka goes on trying by itself, the stall time-out is what ends it
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own names for its local codes
            self._reach(source, message.offset())
            return
        if code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            if self._damaged.get(source) == self._position[source]:
                self._pause(source)
                return
            self._expired(source, collected)
            return
        if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):  # noqa: SLF001
            verify_generation(self._kafka, (self._ranges[source],))
        if code in _DAMAGED:
            self._pause(source)
        self._trouble[source] = error.name()  # not its text, which librdkafka may fill with anything

    def _reach(self, source: int, offset: int) -> None:
        """Everything before `offset` was seen. What lies behind a bound was left out: the range must not cover it."""
        self._position[source] = max(self._position[source], min(offset, self._bound[source]))

    def _expired(self, source: int, collected: _Collected) -> None:
        """The position is outside the log: record what is lost up to the first offset that is left."""
        r, lost_from = self._ranges[source], self._position[source]
        where = TopicPartition(r.topic, r.place.partition)
        low, _ = self._consumer.get_watermark_offsets(where, timeout=5)
        if low > lost_from:
            self._reach(source, low)
            collected.gaps.append(Gap(r.topic, r.place, lost_from, self._position[source], "expired"))
        else:
            verify_generation(self._kafka, (r,))  # behind the end of the log: of another topic's log, perhaps
            if self._known.pop(source, None) is None:
                raise LogChanged(f"the log of {r.topic}/{r.place.partition} was cut below offset {lost_from}")
        # librdkafka stopped this partition and refuses to seek in it; only a new assignment starts it again.
        self._consumer.incremental_unassign([where])
        if self._position[source] < self._bound[source]:
            self._consumer.incremental_assign([TopicPartition(r.topic, r.place.partition, self._position[source])])

    def _look_for_regressions(self) -> None:
        """Partitions whose log ends before what is committed: believed only if it is still so a little later."""
        for source, r in enumerate(self._ranges):
            if r.end >= r.start:
                continue
            ends: list[int] = []
            for _ in range(2):
                self._sleep(_REGRESSION_RECHECK_SECONDS)
                ends.append(self._kafka.end_offset(r.topic, r.place.partition))
            if max(ends) < r.start:
                raise LogOverwritten(r)
            self._position[source] = r.start

    def _planned_left(self, quiet_for: float | None = None) -> int:
        """What is left of the plan; without that of partitions that were silent for `quiet_for`."""
        return sum(
            self._left(source)
            for source in range(len(self._ranges))
            if source not in self._aside and (quiet_for is None or self._silent[source] < quiet_for)
        )

    def _left(self, source: int) -> int:
        return max(0, self._ranges[source].end - self._position[source])

    def _full(self, collected: _Collected) -> bool:
        return len(collected.records) >= self._limits.chunk_events or collected.bytes >= self._limits.chunk_bytes

    def _cut(self, collected: _Collected, began: float) -> Chunk:
        ranges = tuple(
            r._replace(start=start, end=end)
            for r, start, end in zip(self._ranges, self._start, self._position, strict=True)
        )
        self._start = list(self._position)
        return Chunk(
            ranges, collected.records, collected.sources, tuple(collected.gaps), pull_seconds=self._clock() - began
        )
