"""What PostgreSQL says is committed: offsets, gaps, and the ledger's own sums. Reads only.

What belongs here: plain questions to the `ops` tables, for the sensor, the runs and the reconciliation.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from assets.ingest.dedup import CommittedOffsets
from assets.ingest.model import Anchor, Counts
from assets.ingest.plan import OffsetRange, TopicIdPartition
from assets.ingest.sql import statement
from resources import locks
from resources.postgres import Connection


def committed_offsets(connection: Connection) -> dict[TopicIdPartition, int]:
    """The next offset of every partition of every generation."""
    found = connection.execute("select topic_id, partition, next_offset from ops.offsets")
    return {TopicIdPartition(topic_id, partition): offset for topic_id, partition, offset in found}


def next_offsets(connection: Connection) -> dict[tuple[str, str], int]:
    """The next offset of every partition that is read now, by the names of the topic and the partition."""
    found = connection.execute("select topic, partition, next_offset from ops.offsets where replaced_at is null")
    return {(topic, str(partition)): offset for topic, partition, offset in found}


def read_committed(connection: Connection) -> CommittedOffsets:
    """Committed offsets and gaps."""
    gaps: defaultdict[TopicIdPartition, list[tuple[int, int]]] = defaultdict(list)
    query = "select topic_id, partition, start_offset, end_offset from ops.gaps where end_offset is not null"
    for topic_id, partition, start, end in connection.execute(query):
        gaps[TopicIdPartition(topic_id, partition)].append((start, end))
    return CommittedOffsets(committed_offsets(connection), gaps)


def anchors(connection: Connection, ranges: Collection[OffsetRange]) -> dict[TopicIdPartition, Anchor]:
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


def anchors_of_batches(connection: Connection, r: OffsetRange) -> list[Anchor]:
    """The last record of each batch before the range, in the order of offsets, as far as the ledger still has them."""
    found = connection.execute(
        statement("anchors_of_batches"),
        {"topic_id": r.topic_partition.topic_id, "partition": r.topic_partition.partition, "start": r.start},
    )
    return [Anchor(*row) for row in found]


def claim_key(connection: Connection) -> bytes | None:
    """The key that makes claims of this database proofs."""
    row = connection.execute("select key from ops.claim_key").fetchone()
    return None if row is None else row[0]


def last_progress(connection: Connection, run_ids: Collection[str], within: timedelta) -> set[str]:
    """Those of the runs that committed something lately."""
    query = "select distinct run_id from ops.batches where run_id = any(%s) and committed_at > clock_timestamp() - %s"
    return {row[0] for row in connection.execute(query, (list(run_ids), within))}


class RunReport(NamedTuple):
    """What the ledger says of a run."""

    batches: int
    counts: Counts
    degraded: bool
    retries: int
    seconds: dict[str, float]
    latency_p50: float | None
    latency_max: float | None


_REPORT = """
select
    count(*), coalesce(sum(records), 0)::bigint, coalesce(sum(stored), 0)::bigint,
    coalesce(sum(duplicates_redis), 0)::bigint, coalesce(sum(duplicates_postgres), 0)::bigint,
    coalesce(sum(dead_letters), 0)::bigint, coalesce(sum(tombstones), 0)::bigint,
    coalesce(sum(erased), 0)::bigint, coalesce(sum(expired), 0)::bigint,
    coalesce(bool_or(dedup_degraded), false), coalesce(sum(retries), 0)::bigint,
    coalesce(sum(pull_seconds), 0), coalesce(sum(decode_seconds), 0), coalesce(sum(claim_seconds), 0),
    coalesce(sum(frame_seconds), 0), coalesce(sum(store_seconds), 0),
    percentile_cont(0.5) within group (order by latency_p50_seconds), max(latency_max_seconds)
from ops.batches where run_id = %s
"""


def report(connection: Connection, run_id: str) -> RunReport:
    """The sums of a run's batches."""
    row: Any = connection.execute(_REPORT, (run_id,)).fetchone()
    seconds = {name: float(row[11 + i]) for i, name in enumerate(("pull", "decode", "claim", "frame", "store"))}
    return RunReport(row[0], Counts(*row[1:9]), row[9], row[10], seconds, row[16], row[17])


_OVERLAPPING = """
select b.batch_id, o.topic, r.topic_id, r.partition, r.start_offset, r.end_offset
from ops.batch_ranges as r
inner join ops.batches as b on b.batch_id = r.batch_id
inner join ops.offsets as o on o.topic_id = r.topic_id and o.partition = r.partition
where b.kind = 'ingest' and r.end_offset > r.start_offset and (
    b.run_id = any(%(runs)s)
    or exists (
        select 1 from unnest(%(topic_ids)s::uuid[], %(partitions)s::int[], %(starts)s::bigint[], %(ends)s::bigint[])
            as c (topic_id, part, low, high)
        where r.topic_id = c.topic_id and r.partition = c.part and r.start_offset < c.high and r.end_offset > c.low
    )
)
order by b.batch_id, r.topic_id, r.partition
"""


def batches_of(
    connection: Connection, runs: Collection[str], ranges: Collection[OffsetRange]
) -> list[tuple[OffsetRange, ...]]:
    """The ranges of every batch that one of the runs committed or that lies in one of the ranges, batch by batch."""
    found: defaultdict[int, list[OffsetRange]] = defaultdict(list)
    arguments = {
        "runs": list(runs),
        "topic_ids": [r.topic_partition.topic_id for r in ranges],
        "partitions": [r.topic_partition.partition for r in ranges],
        "starts": [r.start for r in ranges],
        "ends": [r.end for r in ranges],
    }
    for batch_id, topic, topic_id, partition, start, end in connection.execute(_OVERLAPPING, arguments):
        found[batch_id].append(OffsetRange(topic, TopicIdPartition(topic_id, partition), start, end))
    return [tuple(ranges) for ranges in found.values()]


_BOOKED = """
select coalesce(sum(r.records), 0)::bigint, coalesce(sum(r.stored), 0)::bigint,
    coalesce(sum(r.duplicates), 0)::bigint, coalesce(sum(r.dead_letters), 0)::bigint,
    coalesce(sum(r.tombstones), 0)::bigint, coalesce(sum(r.erased), 0)::bigint, coalesce(sum(r.expired), 0)::bigint
from ops.batch_ranges as r
where r.topic_id = %s and r.partition = %s and r.start_offset = %s and r.end_offset = %s
"""


def ledger_counts(connection: Connection, r: OffsetRange) -> Counts:
    """The ledger's sum for exactly this range; all duplicates as PostgreSQL's, the ledger keeps no source by range."""
    row: Any = connection.execute(
        _BOOKED, (r.topic_partition.topic_id, r.topic_partition.partition, r.start, r.end)
    ).fetchone()
    records, stored, duplicates, *rest = row
    return Counts(records, stored, 0, duplicates, *rest)


_CLOSED = """
select c.topic, r.topic_id, r.partition, greatest(r.start_offset, c.low), least(r.end_offset, c.high)
from unnest(%(topics)s::text[], %(topic_ids)s::uuid[], %(partitions)s::int[], %(starts)s::bigint[], %(ends)s::bigint[])
    as c (topic, topic_id, part, low, high)
inner join ops.batch_ranges as r
    on r.topic_id = c.topic_id and r.partition = c.part and r.start_offset < c.high and r.end_offset > c.low
inner join ops.batches as b on b.batch_id = r.batch_id
where b.kind = 'closed'
order by r.topic_id, r.partition, r.start_offset
"""


def folded_ranges(connection: Connection, ranges: Collection[OffsetRange]) -> list[OffsetRange]:
    """The parts of the ranges that were folded: what became of their records is known as a sum only."""
    arguments = {
        "topics": [r.topic for r in ranges],
        "topic_ids": [r.topic_partition.topic_id for r in ranges],
        "partitions": [r.topic_partition.partition for r in ranges],
        "starts": [r.start for r in ranges],
        "ends": [r.end for r in ranges],
    }
    found = connection.execute(_CLOSED, arguments)
    return [
        OffsetRange(topic, TopicIdPartition(topic_id, part), start, end) for topic, topic_id, part, start, end in found
    ]


def block_folding(connection: Connection) -> None:
    """Until the transaction ends nothing is folded; waits for a fold in progress, as long as `lock_timeout` says."""
    connection.execute("select pg_advisory_xact_lock_shared(%s)", (locks.LEDGER,))


def parse_topic_partition(topic_id: str, partition: int) -> TopicIdPartition:
    """A topic-partition from its text form in a run's config."""
    return TopicIdPartition(UUID(topic_id), partition)
