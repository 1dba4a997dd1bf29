"""What a transaction that stores writes beside the rows: the ledger, the counts per minute, the marks on hours.

What belongs here: counting what became of each record, in all and by partition, and writing it. What does not: reading
it again (`ledger_queries`), what becomes of marks (`assets.aggregates`), totals behind the metrics (`metric_counts`).
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd

from assets.ingest import frame as frames
from assets.ingest.model import Anchor, Chunk, Counts, Decoded, Deduplicated, Outcome
from assets.ingest.plan import OffsetRange, TopicIdPartition
from assets.ingest.sql import statement
from resources.postgres import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = 3_600 * 1_000_000
_APART = 10_000  # microseconds between events from which on they are read one by one, not with what lies between


class Author(NamedTuple):
    """Who writes the batch."""

    run_id: str
    lane: int
    kind: str


class ChunkCounts(NamedTuple):
    """What became of a chunk: by position of its ranges."""

    by_range: list[Counts]

    @property
    def total(self) -> Counts:
        """Of all ranges."""
        return sum(self.by_range, Counts())


def count_chunk(decoded: Decoded, claimed: Deduplicated, outcome: Outcome) -> ChunkCounts:
    """Count every record of the chunk exactly once.

    Raises:
        RuntimeError: some record is in none or in two of the lists; committing would break the first promise.
    """
    chunk = decoded.chunk
    counted = [Counts() for _ in chunk.ranges]
    sources = np.array(chunk.sources, dtype=np.int64)
    _count(counted, sources, [*outcome.stored, *outcome.present], "stored")
    _count(counted, sources, claimed.duplicates, "duplicates_redis")
    _count(counted, sources, outcome.duplicates, "duplicates_postgres")
    _count(counted, sources, [r.position for r in (*decoded.refused, *outcome.refused)], "dead_letters")
    _count(counted, sources, decoded.tombstones, "tombstones")
    _count(counted, sources, outcome.erased, "erased")
    _count(counted, sources, outcome.expired, "expired")
    if sum(c.records for c in counted) != len(chunk.records):
        raise RuntimeError("a chunk does not add up; this is a bug in Millrace, nothing was committed")
    return ChunkCounts(counted)


def _count(counted: list[Counts], sources: np.ndarray[Any, Any], positions: Sequence[int], field: str) -> None:
    if not positions:
        return
    found = np.bincount(sources[np.asarray(positions, dtype=np.int64)], minlength=len(counted))
    for counts, number in zip(counted, found.tolist(), strict=True):
        setattr(counts, field, getattr(counts, field) + number)
        counts.records += number


def write_batch(
    connection: Connection,
    author: Author,
    recorded: list[tuple[OffsetRange, Counts]],
    seconds: dict[str, float],
    facts: dict[str, Any],
    last: Mapping[TopicIdPartition, Anchor] = MappingProxyType({}),
) -> int:
    """Write one batch and its ranges; returns the number of the batch.

    Args:
        connection: in the transaction that stores the chunk.
        author: who writes it.
        recorded: what to record for each range; of a replay the differences.
        seconds: pull, decode, claim, frame, store.
        facts: path, dedup_degraded, retries, and p50, p95, max of the latency in seconds.
        last: the last record of each topic-partition.
    """
    total = sum((counts for _, counts in recorded), Counts())
    row = {**author._asdict(), **vars(total), **seconds, **facts}
    [[batch_id]] = connection.execute(statement("insert_batch"), row).fetchall()
    for r, counts in recorded:
        more: dict[str, Any] = {"duplicates": counts.duplicates, **vars(counts)}
        where = {
            "topic_id": r.topic_partition.topic_id,
            "partition": r.topic_partition.partition,
            "start": r.start,
            "end": r.end,
        }
        more |= anchored(last.get(r.topic_partition))
        connection.execute(statement("insert_range"), {"batch_id": batch_id, **where, **more})
    return batch_id


def anchored(last: Anchor | None) -> dict[str, Any]:
    """What statements call the offset and the digest of the last record of a topic-partition."""
    return {"last_offset": last and last.offset, "last_digest": last and last.digest}


def waited(chunk: Chunk) -> "np.ndarray[Any, Any]":
    """Seconds from the Kafka timestamp of each record that has one to now."""
    stamps = np.array([record.timestamp()[1] for record in chunk.records], dtype=np.int64)
    return time.time() - stamps[stamps > 0] / 1000  # a record without a timestamp says 0 or less


def latency(waited: "np.ndarray[Any, Any]") -> dict[str, float | None]:
    """Of what records waited: median, 95th percentile and largest; None without any."""
    if not len(waited):
        return {"p50": None, "p95": None, "max": None}
    p50, p95, most = np.quantile(waited, (0.5, 0.95, 1.0))
    return {"p50": float(p50), "p95": float(p95), "max": float(most)}


def stored_rows(frame: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Those rows of the chunk's frame that were inserted, in the order of the key."""
    return frame if outcome.path == "copy" else frame[frame["position"].isin(outcome.stored)]


def count_minutes(connection: Connection, stored: pd.DataFrame) -> Mapping[str, int]:
    """Add the events to analytics.events_minutely, in the order of its key; returns how many of each type."""
    if stored.empty:
        return {}
    counts = frames.counts_by_minute(stored)
    connection.execute(
        statement("count_minutes"),
        {
            "minutes": [_time(minute) for minute, _ in counts],
            "types": [kind for _, kind in counts],
            "events": list(counts.values()),
        },
    )
    types = Counter[str]()
    for (_, kind), events in counts.items():
        types[kind] += events
    return types


def mark_hours(connection: Connection, stored: pd.DataFrame, batch_id: int, *, by_offsets: bool) -> None:
    """Write a mark for each hour, so that the aggregates take these events in, and no other, and each once.

    Args:
        connection: in the transaction that inserted the events.
        stored: the inserted rows, in the order of the key.
        batch_id: of the ledger.
        by_offsets: whether every event that stands in raw.events with an offset of this batch was inserted by it. Else
            the mark lists the events.
    """
    if stored.empty:
        return
    times = stored["occurred_at"].to_numpy()
    hours, firsts = np.unique(times // _HOUR, return_index=True)
    ends = [*firsts[1:].tolist(), len(times)]
    ids = None if by_offsets else stored["event_id"].tolist()
    with connection.cursor() as cursor:
        cursor.executemany(
            statement("mark_hour"),
            [
                {
                    "hour": _time(hour * _HOUR),
                    "low": _time(int(times[first])),
                    "high": _time(int(times[end - 1])),
                    "events": end - first,
                    "batch_id": batch_id if ids is None else None,
                    "event_ids": None if ids is None else [UUID(bytes=i) for i in ids[first:end]],
                    **_windows(times[first:end]),
                }
                for hour, first, end in zip(hours.tolist(), firsts.tolist(), ends, strict=True)
            ],
        )


def _windows(times: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> dict[str, list[datetime] | None]:
    """Where the events lie, from `lows` to `highs`: with late ones among them, what lies between is not read."""
    cuts = np.flatnonzero(np.diff(times) > _APART)
    if not cuts.size:
        return {"lows": None, "highs": None}
    lows, highs = times[np.concatenate(([0], cuts + 1))], times[np.concatenate((cuts, [len(times) - 1]))]
    return {"lows": [*map(_time, lows.tolist())], "highs": [*map(_time, highs.tolist())]}


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
