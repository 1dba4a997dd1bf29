"""What Kafka holds of a partition, and what should have become of each record by the rules of now.

What belongs here: reading the committed part of a partition that Kafka still holds, and marking its records as seen,
tombstones, erased, expired, or duplicates of what is stored. What does not: the tables and the verdict (`reconcile`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np

from assets.ingest import erasures
from assets.ingest.model import Chunk
from assets.ingest.plan import OffsetRange, TopicIdPartition
from assets.ingest.pull import Puller, PullLimits
from assets.ingest.storage_rules import StorageRules
from assets.quality import offset_map
from assets.quality.offset_map import OffsetMap
from contract.decoder import Decoder, Event
from contract.identity import Identity, identity
from resources.kafka import Available, Kafka, close
from resources.postgres import Connection

_NEVER = -(1 << 63)
_BY_KEY = """
select c.off from unnest(%s::bigint[], %s::timestamptz[], %s::uuid[]) as c (off, occurred_at, event_id)
where exists (select 1 from raw.events as e where e.occurred_at = c.occurred_at and e.event_id = c.event_id)
"""
_BY_ID = "select distinct event_id from raw.events where event_id = any(%s)"

Progress = Callable[[str, int, int], None]
"""Called with what is being read, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class KafkaRecords:
    """Reads partitions of Kafka with what a comparison needs beside: the decoder, the tables, the rules."""

    kafka: Kafka
    decoder: Decoder
    connection: Connection
    rules: StorageRules
    progress: Progress

    def mark(self, at: OffsetMap, held: Available, given_up: Iterable[tuple[int, int]]) -> None:
        """Mark the committed records that Kafka still holds, but those that were given up as unreadable.

        Raises:
            PartitionsUnreadable: some cannot be read any more; those before them are marked.
        """
        first = max(at.base, held.low)
        limits = PullLimits(20_000, 64 << 20, 30)
        consumer = self.kafka.consumer(**{"group.id": f"{self.kafka.group_id}-reconcile"})
        try:
            for start, end in _around(given_up, first, max(first, at.end)):
                planned = (OffsetRange(at.topic, at.topic_partition, start, end),)
                for chunk in Puller(self.kafka, consumer, planned, limits).chunks():
                    _mark_chunk(self.connection, self.decoder, at, chunk, self.rules)
                    done = chunk.ranges[0].end - first
                    self.progress(f"{at.topic}/{at.topic_partition.partition}", done, at.end - first)
        finally:
            close(consumer)


def _around(given_up: Iterable[tuple[int, int]], start: int, end: int) -> Iterable[tuple[int, int]]:
    """The parts of a range that were not given up as unreadable."""
    for gap_start, gap_end in sorted(given_up):
        if start < gap_start:
            yield start, min(gap_start, end)
        start = max(start, gap_end)
    if start < end:
        yield start, end


def _mark_chunk(connection: Connection, decoder: Decoder, at: OffsetMap, chunk: Chunk, rules: StorageRules) -> None:
    offsets = np.array([r.offset() for r in chunk.records], dtype=np.int64)
    at.put(offsets, offset_map.SEEN)
    empty = [r.offset() for r in chunk.records if r.value() is None]
    at.put(np.array(empty, dtype=np.int64), offset_map.TOMBSTONE)
    events: dict[int, Identity] = {}
    names: dict[int, set[str]] = {}
    for record in chunk.records:
        value = record.value()
        if value is not None and at.flags[record.offset() - at.base] == offset_map.SEEN:
            found = decoder.decode(value, 1 << 62)
            if isinstance(found, Event):
                events[record.offset()] = Identity(found.event_id, found.occurred_at)
                names[record.offset()] = {found.user_id}
                continue
            if (shown := identity(record.value())) is not None:  # accepted once, when rules were less strict
                events[record.offset()] = shown
            if rules.erasures:
                names[record.offset()] = erasures.names_in(record.key(), record.value())
    erased = _erased(connection, at.topic_partition, names) if rules.erasures else set[int]()
    before = _NEVER if rules.frontier is None else rules.frontier
    expired = {o for o, e in events.items() if e.occurred_at is not None and e.occurred_at < before} - erased
    suspects = {offset: event for offset, event in events.items() if offset not in erased and offset not in expired}
    duplicates = _stored_elsewhere(connection, suspects)
    for mark, found in ((offset_map.ERASED, erased), (offset_map.EXPIRED, expired), (offset_map.DUPLICATE, duplicates)):
        at.put(np.array(sorted(found), dtype=np.int64), mark)


def _erased(connection: Connection, topic_partition: TopicIdPartition, names: Mapping[int, set[str]]) -> set[int]:
    """Those offsets whose record is of a user, or names one, who was erased up to there or further."""
    known = erasures.of(connection, set[str]().union(*names.values()))
    return {o for o, found in names.items() if any(o < known[n].get(topic_partition, 0) for n in found if n in known)}


def _stored_elsewhere(connection: Connection, suspects: dict[int, Identity]) -> set[int]:
    """Those offsets whose event is stored, under the same key or, for one that was sent with two times, its id."""
    if not suspects:
        return set()
    ids = {offset: _uuid(event.event_id) for offset, event in suspects.items()}
    times = [None if event.occurred_at is None else _time(event.occurred_at) for event in suspects.values()]
    found = {row[0] for row in connection.execute(_BY_KEY, (list(ids), times, list(ids.values())))}
    rest = {offset: event_id for offset, event_id in ids.items() if offset not in found}
    if rest:
        by_id = {row[0] for row in connection.execute(_BY_ID, (list(set(rest.values())),))}
        found |= {offset for offset, event_id in rest.items() if event_id in by_id}
    return found


def _uuid(packed: bytes) -> UUID:
    return UUID(bytes=packed)


def _time(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
