"""Proves that each record of Kafka has one outcome: stored, duplicate, dead letter, tombstone, erased or expired.

What belongs here: reading ledger and tables in one snapshot, and comparing them with Kafka partition by partition. What
does not: reading Kafka (`kafka_records`), mending anything, and printing (`orchestration.cli.reconcile`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from assets.ingest import ledger_queries, storage_rules
from assets.ingest.model import Counts
from assets.ingest.partitions import detached, on_table
from assets.ingest.plan import TopicIdPartition
from assets.ingest.pull import PartitionsUnreadable
from assets.quality import offset_map
from assets.quality.kafka_records import KafkaRecords, Progress
from assets.quality.offset_map import OffsetMap
from contract.decoder import Decoder
from resources.kafka import Available, Kafka, current_logs
from resources.postgres import Connection, Postgres

_LISTED = 1_000
_ROWS = 50_000


class PartitionResult(NamedTuple):
    """One partition: what Kafka holds, what the tables hold, what the ledger says, and what is wrong."""

    topic: str
    topic_id: str
    partition: int
    low: int
    committed: int
    high: int
    counts: Counts
    ledger: Counts
    lost: int
    missing: list[int]
    doubled: list[int]
    problems: list[str]

    @property
    def pending(self) -> int:
        """Offsets that are not ingested yet."""
        return max(0, self.high - self.committed)

    @property
    def balanced(self) -> bool:
        """Nothing is missing, doubled or counted wrongly."""
        return not (self.missing or self.doubled or self.problems)


@dataclass
class _DatabaseView:
    """What PostgreSQL knows of one topic-partition, in one snapshot."""

    marks: OffsetMap
    ledger: Counts
    gaps: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    given_up: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    problems: list[str] = field(default_factory=list[str])


def reconcile(
    kafka: Kafka,
    postgres: Postgres,
    decoder: Decoder,
    topics: tuple[str, ...],
    progress: Progress = lambda _what, _done, _of: None,
) -> list[PartitionResult]:
    """Compare Kafka, the ledger and the tables. Memory: one byte for every offset ever committed.

    Args:
        kafka: read with a consumer of its own; moves no offsets.
        postgres: read in one REPEATABLE READ transaction, so ingest may go on meanwhile.
        decoder: tells which record a duplicate is a duplicate of.
        topics: which topics; generations that were replaced are held against the ledger only.
        progress: called with what is being read, how much of it is done, and how much there is.

    Raises:
        KafkaUnavailable, psycopg.Error: one of them cannot be read.
    """
    held = kafka.available(topics)
    with postgres.connect("millrace-reconcile") as connection:
        connection.execute("begin isolation level repeatable read read only")
        # Before the snapshot: a partition that retention drops must not vanish from below it.
        connection.execute("lock table raw.events in access share mode")
        known = _known(connection, topics)
        available = {TopicIdPartition(a.topic_id, a.partition): a for a in current_logs(held, known)}
        _mark_tables(connection, known, progress)
        records = KafkaRecords(kafka, decoder, connection, storage_rules.read_rules(connection), progress)
        for topic_partition, found in known.items():
            if topic_partition in available:
                _mark_records(records, found, available[topic_partition])
        verdicts = [
            _verdict(topic_partition, found, available.get(topic_partition)) for topic_partition, found in known.items()
        ]
        connection.execute("rollback")
    return verdicts


_PLACES = """
select
    o.topic, o.topic_id, o.partition, o.next_offset,
    least(
        (select min(least(r.start_offset, r.end_offset)) from ops.batch_ranges as r
         where r.topic_id = o.topic_id and r.partition = o.partition),
        o.next_offset
    )
from ops.offsets as o where o.topic = any(%s) order by o.topic, o.replaced_at nulls last, o.topic_id, o.partition
"""
_LEDGER = """
select coalesce(sum(records), 0)::bigint, coalesce(sum(stored), 0)::bigint, coalesce(sum(duplicates), 0)::bigint,
    coalesce(sum(dead_letters), 0)::bigint, coalesce(sum(tombstones), 0)::bigint,
    coalesce(sum(erased), 0)::bigint, coalesce(sum(expired), 0)::bigint
from ops.batch_ranges where topic_id = %s and partition = %s
"""
_GIVEN_UP = """
select start_offset, end_offset from ops.gaps where reason = 'unreadable' and topic_id = %s and partition = %s
"""
# Each ingest range must begin where the one before ended.
_TILING = """
select start_offset, previous from (
    select r.start_offset, lag(r.end_offset) over (order by r.batch_id) as previous
    from ops.batch_ranges as r inner join ops.batches as b on b.batch_id = r.batch_id
    where b.kind in ('ingest', 'closed') and r.start_offset <> r.end_offset and r.topic_id = %s and r.partition = %s
) as ranges where previous <> start_offset limit 10
"""


_EVENTS = b"select kafka_topic_id, kafka_partition, kafka_offset from raw.events"
_DEAD_LETTERS = b"select topic_id, partition, kafka_offset from raw.dead_letters where status <> 'resolved'"


def _known(connection: Connection, topics: tuple[str, ...]) -> dict[TopicIdPartition, _DatabaseView]:
    found: dict[TopicIdPartition, _DatabaseView] = {}
    gaps = ledger_queries.read_committed(connection).gaps
    for topic, topic_id, partition, end, base in connection.execute(_PLACES, (list(topics),)).fetchall():
        topic_partition = TopicIdPartition(topic_id, partition)
        row: Any = connection.execute(_LEDGER, topic_partition).fetchone()
        ledger = Counts(row[0], row[1], 0, *row[2:])
        known = _DatabaseView(OffsetMap(topic, topic_partition, base, end), ledger, list(gaps.get(topic_partition, ())))
        known.given_up.extend(connection.execute(_GIVEN_UP, topic_partition).fetchall())
        for start, previous in connection.execute(_TILING, topic_partition):
            known.problems.append(f"the ledger jumps from {previous} to {start}")
        found[topic_partition] = known
    return found


def _mark_tables(connection: Connection, known: dict[TopicIdPartition, _DatabaseView], progress: Progress) -> None:
    estimate: Any = connection.execute(
        "select coalesce(sum(greatest(reltuples, 0)), 0)::bigint from pg_class where relispartition and relkind = 'r'"
    ).fetchone()
    # A partition on its way out is no part of raw.events any more, but its rows count as stored until it is dropped.
    events = [on_table(_EVENTS, table) for table in ("raw.events", *detached(connection))]
    queries = [
        *(("raw.events", query, offset_map.STORED) for query in events),
        ("raw.dead_letters", _DEAD_LETTERS, offset_map.DEAD),
    ]
    for number, (table, query, mark) in enumerate(queries):
        done = 0
        with connection.cursor(f"reconcile_{number}") as cursor:
            cursor.itersize = _ROWS
            cursor.execute(query)
            while rows := cursor.fetchmany(_ROWS):
                done += len(rows)
                progress(table, done, max(done, int(estimate[0])) if mark == offset_map.STORED else done)
                _mark(known, rows, mark)


def _mark(known: dict[TopicIdPartition, _DatabaseView], rows: Iterable[tuple[Any, ...]], mark: np.uint8) -> None:
    by_place: dict[TopicIdPartition, list[int]] = {}
    for topic_id, partition, offset in rows:
        by_place.setdefault(TopicIdPartition(topic_id, partition), []).append(offset)
    for topic_partition, offsets in by_place.items():
        if topic_partition in known:
            known[topic_partition].marks.put(np.array(offsets, dtype=np.int64), mark)


def _mark_records(records: KafkaRecords, known: _DatabaseView, held: Available) -> None:
    try:
        records.mark(known.marks, held, known.given_up)
    except PartitionsUnreadable as error:
        known.problems.append(f"committed records cannot be read any more and are not compared: {error}")


def _verdict(topic_partition: TopicIdPartition, known: _DatabaseView, held: Available | None) -> PartitionResult:
    at = known.marks
    counts = Counts(
        records=at.count(offset_map.SEEN) if held else known.ledger.records,
        stored=at.count(offset_map.STORED),
        duplicates_postgres=at.count(offset_map.DUPLICATE) if held else known.ledger.duplicates,
        dead_letters=at.count(offset_map.DEAD),
        tombstones=at.count(offset_map.TOMBSTONE) if held else known.ledger.tombstones,
        erased=at.count(offset_map.ERASED) if held else known.ledger.erased,
        expired=at.count(offset_map.EXPIRED) if held else known.ledger.expired,
    )
    problems = known.problems + _disagreements(counts, known, held)
    if at.beyond:
        problems.append(f"{len(at.beyond)} rows lie outside of what is committed, the first at offset {min(at.beyond)}")
    return PartitionResult(
        at.topic,
        str(topic_partition.topic_id),
        topic_partition.partition,
        held.low if held else at.end,
        at.end,
        held.high if held else at.end,
        counts,
        known.ledger,
        sum(end - start for start, end in known.gaps),
        at.missing()[:_LISTED],
        at.doubled()[:_LISTED],
        problems,
    )


def _disagreements(counts: Counts, known: _DatabaseView, held: Available | None) -> list[str]:
    """Where the ledger says something else than the tables, and, while Kafka still holds everything, than Kafka."""
    fields: list[tuple[str, ...]] = [("stored",), ("dead_letters",)]
    if held and held.low <= known.marks.base and not known.gaps:
        fields += [("records",), ("tombstones",), ("duplicates",)]
        if counts.erased or counts.expired:
            # A duplicate stays counted as one when its original is erased or expires later: one sum for the three.
            fields[-1] = ("duplicates", "erased", "expired")
    return [
        f"{' + '.join(names)}: {_sum(counts, names)} found, the ledger says {_sum(known.ledger, names)}"
        for names in fields
        if _sum(counts, names) != _sum(known.ledger, names)
    ]


def _sum(counts: Counts, names: tuple[str, ...]) -> int:
    return sum(getattr(counts, name) for name in names)
