"""Reads exactly the planned offsets from Kafka, cut into chunks that fit into memory.

What belongs here: positions, ends, holes, gaps, and how long each partition is waited for. What does not: what a record
means (`frame`), what is committed (`store`). A range is done when the consumer's position or an end-of-partition event
reaches its end; the record at `end - 1` may not exist (transaction markers, aborted records, compaction).

A partition that Kafka does not hand out (a damaged batch, missing rights, a leader that cannot be reached) is put aside
after a while: what came of it before stays, the others go on, and the pull ends with an error that names it.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from assets.ingest.alone import Alone
from assets.ingest.model import Anchor, Chunk, Gap, Record, Unreadable, anchor_of
from assets.ingest.plan import OffsetRange, TopicIdPartition
from resources.kafka import Kafka, KafkaUnavailable, error_text, same_topic

_NO_BOUND = 1 << 63
_POLL_RECORDS = 4_000
_POLL_SECONDS = 0.1
# Commits cost more than they gain below this distance; it is a quarter of what the sensor can do.
_LINGER_CHUNK_SECONDS = 0.25
_REGRESSION_RECHECK_SECONDS = 2.0
# Of polling: how long a partition may answer with an error, and how often it is asked anew meanwhile.
_ERROR_SECONDS = 5.0
_REASSIGN_SECONDS = 1.0


class PartitionsUnreadable(KafkaUnavailable):
    """Kafka does not hand some partitions out. What was read before that, and of all others, was handed on."""

    def __init__(self, partitions: Sequence[Unreadable]) -> None:
        super().__init__("; ".join(map(str, partitions)))
        self.partitions = tuple(partitions)


class TopicReplaced(Exception):
    """The topic was deleted or re-created since the plan was made: its records are no longer those of the plan."""


class LogOverwritten(Exception):
    """The log of a range's partition is not the one that was committed: it lost its end, and may have grown again."""

    def __init__(self, r: OffsetRange) -> None:
        super().__init__(f"{r.topic}/{r.topic_partition.partition}")
        self.range = r


class LogChanged(KafkaUnavailable):
    """The log was cut while it was read. Nothing is lost yet: the next run looks at it first."""


def verify_generation(kafka: Kafka, ranges: tuple[OffsetRange, ...]) -> None:
    """Make sure that the topics are still those that were planned.

    Raises:
        TopicReplaced: Kafka gives another id to a topic by now, or none.
        PartitionsUnreadable: Kafka describes some of the topics, and refuses to describe others.
        KafkaUnavailable: Kafka cannot be asked.
    """
    troubles: dict[str, str] = {}
    ids = kafka.topic_ids(sorted({r.topic for r in ranges}), troubles)
    for r in ranges:
        replaced = r.topic not in ids or not same_topic(ids[r.topic][0], r.topic_partition.topic_id)
        if replaced and r.topic not in troubles:
            raise TopicReplaced(r.topic)
    if troubles:
        refused = [r for r in ranges if r.topic in troubles]
        raise PartitionsUnreadable(
            [Unreadable(r.topic, r.topic_partition, r.start, troubles[r.topic]) for r in refused]
        )


class PullLimits(NamedTuple):
    """Bounds of a pull: a chunk's size, how long a silent partition is waited for, and the time after the plan is done.

    `chunk_seconds`: what was read waits no longer than that for more, so that no partition waits for a slow one.
    """

    chunk_events: int
    chunk_bytes: int
    stall_seconds: float
    chunk_seconds: float = math.inf
    linger_seconds: float = 0.0
    linger_events: int = 1_000_000


class _Collected:
    """The records of the chunk that is being filled."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.sources: list[int] = []
        self.gaps: list[Gap] = []
        self.bytes = 0


class Puller:
    """Turns ranges into chunks with one consumer. Not for use by two threads at once."""

    def __init__(
        self,
        kafka: Kafka,
        consumer: Consumer,
        ranges: tuple[OffsetRange, ...],
        limits: PullLimits,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        known: Mapping[TopicIdPartition, Anchor] = MappingProxyType({}),
        alone: Callable[[], Consumer] | None = None,
    ) -> None:
        self._kafka, self._consumer, self._limits = kafka, consumer, limits
        self._together, self._alone = consumer, Alone(alone, limits.stall_seconds)
        self._clock, self._sleep = clock, sleep
        self._ranges = ranges
        # Records that were committed last: reading begins with them, to see that the log is still that one.
        self._known = {
            i: known[r.topic_partition] for i, r in enumerate(ranges) if r.topic_partition in known and r.end >= r.start
        }
        self._index = {(r.topic, r.topic_partition.partition): i for i, r in enumerate(ranges)}
        # A lingering run takes whatever comes; without lingering a plan ends exactly where it says.
        self._bound = [_NO_BOUND if limits.linger_seconds else r.end for r in ranges]
        self._start = [r.start for r in ranges]  # where the next chunk begins
        self._position = [r.start for r in ranges]  # up to where everything was seen
        self._polled = 0.0  # seconds spent on waiting for Kafka, the clock of the time-outs below
        self._heard = [0.0 for _ in ranges]  # when each partition moved last, by that clock
        self._assigned = [0.0 for _ in ranges]
        self._trouble = ["" for _ in ranges]  # the first error of each since it moved
        self._suspect = set[int]()  # the client may have skipped what it could not read: to be assigned anew
        self._unreadable: dict[int, Unreadable] = {}

    def chunks(self) -> Generator[Chunk, None, None]:
        """Chunks until every range is done, then, while lingering, what arrives.

        Raises:
            PartitionsUnreadable: at the very end, if neither a record nor an end came of some partition for
                `stall_seconds`, or nothing but errors for a few seconds.
            TopicReplaced: it is not the topic that was planned any more.
            LogOverwritten: a log ends before what is committed, or holds another record there.
        """
        self._look_for_regressions()
        self._consumer.assign(
            [TopicPartition(r.topic, r.topic_partition.partition, self._first(i)) for i, r in enumerate(self._ranges)]
        )
        try:
            while self._planned_left():
                chunk = self._planned_chunk()
                if chunk.moves:
                    yield chunk
            yield from self._lingering()
        finally:
            if self._alone.reading is not None:
                self._alone.end()
            self._together.unassign()
        if self._unreadable:
            raise PartitionsUnreadable(self._explained())

    def _planned_chunk(self) -> Chunk:
        collected, began = _Collected(), self._clock()
        while not self._full(collected) and (left := self._planned_left()):
            # Asking for no more than is left returns as soon as it is there instead of waiting for the time to pass.
            self._poll(collected, _POLL_SECONDS, left)
            self._put_aside()
            self._one_by_one()
            if collected.records and self._clock() - began > self._limits.chunk_seconds:
                break
        return self._cut(collected, began)

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
        """Take what Kafka has."""
        most = min(most, _POLL_RECORDS, self._limits.chunk_events - len(collected.records))
        asked = self._clock()
        messages: list[Any] = self._consumer.consume(most, seconds)
        self._polled += self._clock() - asked
        before = list(self._position)
        self._take(messages, collected)
        for source, (was, at) in enumerate(zip(before, self._position, strict=True)):
            if at != was:
                self._heard[source] = self._polled
                self._trouble[source] = self._trouble[source] if source in self._suspect else ""
        if self._suspect:
            self._assign_anew()

    def _take(self, messages: list[Any], collected: _Collected) -> None:
        index, position, suspect = self._index, self._position, self._suspect
        for message in messages:
            error = message.error()
            if error is not None:
                self._event(error, message, collected)
                continue
            source = index.get((message.topic(), message.partition()))
            offset = message.offset()
            if source is None or offset < position[source]:
                self._compare(source, message)
                continue  # not asked for, or seen already: nothing is accounted for twice, whatever the client does
            if suspect and source in suspect:
                continue
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
        if anchor_of(message) != known:
            raise LogOverwritten(self._ranges[source])
        del self._known[source]

    def _event(self, error: KafkaError, message: Any, collected: _Collected) -> None:
        """What comes in place of a record: an end, an offset that is gone, or trouble."""
        if error.fatal():
            raise KafkaUnavailable(error_text(error))
        code, source = error.code(), self._index.get((message.topic(), message.partition()))
        if source is None:
            return  # about a broker: librdkafka goes on trying by itself, the stall time-out is what ends it
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own names for its local codes
            if source not in self._suspect:
                self._reach(source, message.offset())
            return
        try:
            if self._is_explained(code, source, collected):
                return
        except (KafkaException, KafkaUnavailable):
            pass  # what would explain it cannot be asked, of this topic perhaps: the others go on
        # The client goes on behind some of what it cannot read: nothing is taken until the same is asked for again.
        # The first error says what is wrong; what the client makes of the bytes behind it may be anything.
        self._trouble[source] = self._trouble[source] or f"{error.name().lstrip('_')}: {error_text(error)}"
        self._suspect.add(source)

    def _is_explained(self, code: int, source: int, collected: _Collected) -> bool:
        """Whether an error turned out to be a loss that is recorded, or an offset that the client made up."""
        if code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            if source not in self._suspect:  # behind an error the client may ask for an offset that it made up
                self._expired(source, collected)
            return True
        if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):  # noqa: SLF001
            verify_generation(self._kafka, (self._ranges[source],))
        return False

    def _assign_anew(self) -> None:
        """Ask again for what came as an error, but not all the time; what was fetched behind it is thrown away."""
        one = self._alone.reading
        for source in sorted(self._suspect - self._unreadable.keys()) if one is None else [one]:
            if source in self._suspect and self._polled - self._assigned[source] >= _REASSIGN_SECONDS:
                self._assigned[source] = self._polled
                self._suspect.discard(source)
                self._consumer.incremental_unassign([self._where(source)])
                self._consumer.incremental_assign([self._where(source)])

    def _put_aside(self) -> None:
        """Wait no longer for partitions that give no record and no end."""
        for source, r in enumerate(self._ranges):
            if self._position[source] >= r.end or source in self._unreadable:
                continue
            stall, trouble = self._limits.stall_seconds, self._trouble[source]
            silent = self._alone.seconds if source == self._alone.reading else stall
            if self._polled - self._heard[source] <= (min(stall, _ERROR_SECONDS) if trouble else silent):
                continue
            if self._alone.waits(source):
                continue
            self._consumer.incremental_unassign([self._where(source)])
            if trouble or not self._alone.takes(source):
                self._unreadable[source] = Unreadable(r.topic, r.topic_partition, self._position[source], trouble)
                self._suspect.add(source)

    def _explained(self) -> list[Unreadable]:
        """With words for those that were silent: of some Kafka says why when it is asked where they end."""
        silent = {u.topic for u in self._unreadable.values() if not u.error}
        troubles: dict[str, str] = {}
        with suppress(KafkaUnavailable):
            if silent:
                self._kafka.available(sorted(silent), troubles)
        told = self._unreadable.values()
        nothing = f"no record came for {self._limits.stall_seconds:.0f} s"
        why = {u: troubles.get(u.topic) or troubles.get(f"{u.topic}/{u.topic_partition.partition}") for u in told}
        return [u._replace(error=u.error or (f"{said}; {nothing}" if said else nothing)) for u, said in why.items()]

    def _one_by_one(self) -> None:
        """Once nothing but silent partitions is left: each by itself, for what one withholds silences others."""
        if not self._alone.tried:
            return
        left = [i for i, r in enumerate(self._ranges) if self._position[i] < r.end and i not in self._unreadable]
        if self._alone.reading in left or not all(map(self._alone.waits, left)):
            return
        self._consumer = self._alone.next(self._polled) or self._together
        if (source := self._alone.reading) is not None:
            self._heard[source] = self._polled
            self._consumer.assign([self._where(source)])

    def _where(self, source: int) -> TopicPartition:
        r = self._ranges[source]
        return TopicPartition(r.topic, r.topic_partition.partition, self._position[source])

    def _reach(self, source: int, offset: int) -> None:
        """Everything before `offset` was seen. What lies behind a bound was left out: the range must not cover it."""
        self._position[source] = max(self._position[source], min(offset, self._bound[source]))

    def _expired(self, source: int, collected: _Collected) -> None:
        """The position is outside the log: record what is lost up to the first offset that is left."""
        r, lost_from = self._ranges[source], self._position[source]
        where = TopicPartition(r.topic, r.topic_partition.partition)
        low, _ = self._consumer.get_watermark_offsets(where, timeout=5)
        if low > lost_from:
            self._reach(source, low)
            collected.gaps.append(Gap(r.topic, r.topic_partition, lost_from, self._position[source], "expired"))
        else:
            verify_generation(self._kafka, (r,))  # behind the end of the log: of another topic's log, perhaps
            if self._known.pop(source, None) is None:
                raise LogChanged(f"the log of {r.topic}/{r.topic_partition.partition} was cut below offset {lost_from}")
        # librdkafka stopped this partition and refuses to seek in it; only a new assignment starts it again.
        self._consumer.incremental_unassign([where])
        if self._position[source] < self._bound[source]:
            self._consumer.incremental_assign([self._where(source)])

    def _look_for_regressions(self) -> None:
        """Partitions whose log ends before what is committed: believed only if it is still so a little later."""
        for source, r in enumerate(self._ranges):
            if r.end >= r.start:
                continue
            ends: list[int] = []
            for _ in range(2):
                self._sleep(_REGRESSION_RECHECK_SECONDS)
                ends.append(self._kafka.end_offset(r.topic, r.topic_partition.partition))
            if max(ends) < r.start:
                raise LogOverwritten(r)
            self._position[source] = r.start

    def _planned_left(self) -> int:
        return sum(
            max(0, r.end - self._position[source])
            for source, r in enumerate(self._ranges)
            if source not in self._unreadable
        )

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
