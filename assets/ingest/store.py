"""One chunk, one transaction: the fence, the rows, the dead letters, the counts, the ledger, the totals, COMMIT.

What belongs here: the order of these steps and what ends them. What does not: how rows get in (`event_writer`), when to
try again (`retry`). One lock order everywhere, so that lanes never deadlock: fences by partition, events by key, dead
dead letters by coordinate, counts by minute and type, totals by their key, these last before COMMIT. Totals belong to
the lane; a replay may add to those of the lane that an ingest adds to, and who holds one asks for nothing but the next.
What a replay does instead of moving offsets is in `replay_store`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from assets.ingest import (
    dead_letter_history,
    dead_letters,
    event_writer,
    ledger,
    ledger_queries,
    metric_counts,
    storage_rules,
)
from assets.ingest.ledger import Author, ChunkCounts
from assets.ingest.metric_counts import NewRows
from assets.ingest.model import Chunk, Counts, Decoded, Deduplicated, Gap, Outcome, RejectedRecord, last_anchors
from assets.ingest.partitions import Partitions
from assets.ingest.plan import OffsetRange
from assets.ingest.sql import statement
from assets.ingest.storage_rules import StorageRules
from monitoring.metrics.totals import Totals
from resources.postgres import Connection, commit

LOCK_TIMEOUT_SECONDS = 2

Step = Callable[[str], None]
"""Called with the name of each point that was reached; tests stop or kill the process there."""


class AlreadyCommitted(Exception):
    """Somebody else moved the offsets of this chunk; there is nothing left to do."""


@dataclass(frozen=True)
class Prepared:
    """A chunk that is ready to be stored."""

    decoded: Decoded
    claimed: Deduplicated
    frame: pd.DataFrame
    frame_seconds: float = 0.0
    retried: tuple[str, ...] = ()
    """Why it was tried again, each time."""
    stays: Outcome = field(default_factory=Outcome)
    """What is known already of records that are not to be tried: counted, and nothing else."""

    @property
    def chunk(self) -> Chunk:
        """The records."""
        return self.decoded.chunk

    def less(self, stays: Outcome) -> "Prepared":
        """The same without the records that stay what they are."""
        decoded, claimed = dead_letter_history.without(self.decoded, self.claimed, stays)
        rows = self.frame["position"].isin([row.position for row in claimed.rows])
        return replace(self, decoded=decoded, claimed=claimed, frame=self.frame[rows], stays=self.stays + stays)


class StoredChunk(NamedTuple):
    """What was recorded: the inserted events by type, the seconds by step, and what each record waited."""

    events: Mapping[str, int]
    seconds: dict[str, float]
    waited: "np.ndarray[Any, Any]"


@dataclass
class Store:
    """Stores chunks on one connection."""

    author: Author
    partitions: Partitions = field(default_factory=Partitions)
    failpoint: Step = lambda _: None
    verify: Callable[[Chunk], None] = lambda _: None
    pending: Totals = field(default_factory=Totals)
    """What waits to be counted; added by whichever transaction commits next."""
    totals_lane: int | None = None
    """Whose totals are added to; by default those of the author's lane."""

    def ingest(
        self, connection: Connection, prepared: Prepared, beside: Callable[[Connection], None] = lambda _: None
    ) -> Counts:
        """Store a chunk and move its offsets, or change nothing at all.

        Args:
            connection: outside of any transaction.
            prepared: the chunk.
            beside: writes something more in the same transaction.

        Raises:
            AlreadyCommitted: the offsets had been moved already.
            event_writer.PartitionMissing, event_writer.NothingStorable, psycopg.Error: nothing was committed, unless
            the connection
                died during COMMIT.
        """
        began = time.monotonic()
        rules = self.begin(connection, prepared)
        gaps = self._fence(connection, prepared.chunk)
        decoded, prepared = prepared.decoded, self.exclude(connection, prepared, rules)
        clean = not prepared.claimed.degraded and not prepared.claimed.undecided
        outcome, tally = self.insert(connection, prepared, optimistic=clean)
        fresh = dead_letters.store(connection, prepared.chunk, refused(prepared, outcome), self.author.run_id)
        moved = [(r, c) for r, c in zip(prepared.chunk.ranges, tally.by_range, strict=True) if r.start != r.end]
        recorded = self.record(connection, prepared, outcome, moved, began)
        became = outcome + prepared.stays
        beside(connection)
        totals = metric_counts.ingested(decoded, prepared.claimed, became, recorded.seconds, recorded.waited, gaps)
        self.commit(connection, prepared, NewRows(recorded.events, fresh), totals)
        return tally.total

    def begin(self, connection: Connection, prepared: Prepared) -> StorageRules:
        """Begin the transaction, by the rules of now; the partitions that it needs are made before."""
        today = datetime.now(UTC).date()
        self.partitions.ensure(connection, prepared.frame["occurred_at"].tolist(), today)
        return storage_rules.begin_storing(
            connection, prepared.chunk.ranges, LOCK_TIMEOUT_SECONDS, again=self._is_replay
        )

    @property
    def _is_replay(self) -> bool:
        return self.author.kind != "ingest"

    def exclude(self, connection: Connection, prepared: Prepared, rules: StorageRules) -> Prepared:
        """The chunk less what the rules keep out; dead letters of users who were erased are not kept either."""
        admitted = storage_rules.split_excluded(
            connection, prepared.decoded, prepared.claimed, prepared.frame, rules, again=self._is_replay
        )
        if self._is_replay:
            dead_letters.remove(connection, prepared.chunk, admitted.excluded.erased)
        return replace(
            prepared,
            decoded=admitted.decoded,
            claimed=admitted.claimed,
            frame=admitted.frame,
            stays=prepared.stays + admitted.excluded,
        )

    def lock_ranges(self, connection: Connection, chunk: Chunk) -> None:
        """The lock of the fence, without its move: two must not record the same difference. And nothing is folded."""
        ledger_queries.block_folding(connection)
        for topic_partition in sorted({r.topic_partition for r in _in_order(chunk)}):
            connection.execute(
                "select 1 from ops.offsets where topic_id = %s and partition = %s for update",
                (topic_partition.topic_id, topic_partition.partition),
            )

    def _fence(self, connection: Connection, chunk: Chunk) -> list[Gap]:
        """Move the offsets; returns what is lost at the source, as recorded."""
        gaps, last = list(chunk.gaps), last_anchors(chunk)
        for r in _in_order(chunk):
            where = {"topic": r.topic, "topic_id": r.topic_partition.topic_id, "partition": r.topic_partition.partition}
            bounds = {"start": r.start, "end": r.end, **ledger.anchored(last.get(r.topic_partition))}
            if connection.execute(statement("fence"), {**where, **bounds}).rowcount:
                continue
            if not connection.execute(statement("open_place"), {**where, **bounds}).rowcount:
                raise AlreadyCommitted
            connection.execute(statement("fence"), {**where, **bounds})
            for topic_id, partition, lost_from in connection.execute(
                statement("replace_generations"), where
            ).fetchall():
                topic_partition = r.topic_partition._replace(topic_id=topic_id, partition=partition)
                gaps.append(Gap(r.topic, topic_partition, lost_from, None, "recreated"))
        for gap in gaps:
            insert_gap(connection, gap, self.author.run_id)
        return gaps

    def insert(self, connection: Connection, prepared: Prepared, *, optimistic: bool) -> tuple[Outcome, ChunkCounts]:
        """Insert the events; what became of each record of the chunk, and the counts by range."""
        incoming = event_writer.EventWriter(prepared.chunk, prepared.frame, self.partitions, self.failpoint)
        outcome = event_writer.insert_events(connection, incoming, optimistic=optimistic)
        self.failpoint("after_copy")
        return outcome, ledger.count_chunk(prepared.decoded, prepared.claimed, outcome + prepared.stays)

    def record(
        self,
        connection: Connection,
        prepared: Prepared,
        outcome: Outcome,
        ranges: list[tuple[OffsetRange, Counts]],
        began: float,
    ) -> StoredChunk:
        """Count the inserted events by minute, write the batch into the ledger, and mark the hours."""
        stored = ledger.stored_rows(prepared.frame, outcome)
        events = ledger.count_minutes(connection, stored)
        decoded, claimed, chunk = prepared.decoded, prepared.claimed, prepared.chunk
        seconds = {
            "pull": chunk.pull_seconds,
            "decode": decoded.decode_seconds,
            "claim": claimed.claim_seconds,
            "frame": prepared.frame_seconds,
            "store": time.monotonic() - began,
        }
        waited = ledger.waited(chunk)
        facts: dict[str, Any] = {
            "path": outcome.path,
            "dedup_degraded": claimed.degraded,
            "retries": len(prepared.retried),
            **ledger.latency(waited),
        }
        last = last_anchors(chunk) if self.author.kind == "ingest" else {}
        batch_id = ledger.write_batch(connection, self.author, ranges, seconds, facts, last)
        exact = self.author.kind == "ingest" and not outcome.present
        ledger.mark_hours(connection, stored, batch_id, by_offsets=exact)
        return StoredChunk(events, seconds, waited)

    def commit(self, connection: Connection, prepared: Prepared, wrote: NewRows, totals: Totals) -> None:
        """Add the totals, look at the topics once more, COMMIT."""
        totals.add(metric_counts.count_new_rows(wrote, prepared.retried))
        totals.add(self.pending)
        self.verify(prepared.chunk)
        totals.write(connection, self.author.lane if self.totals_lane is None else self.totals_lane)
        self.failpoint("before_commit")
        self.pending.clear()  # before COMMIT: should its answer be lost, what waited counts at most once
        commit(connection)
        self.failpoint("after_commit")


def insert_gap(connection: Connection, gap: Gap, run_id: str) -> None:
    """Record a loss at the source."""
    where = {"topic": gap.topic, "topic_id": gap.topic_partition.topic_id, "partition": gap.topic_partition.partition}
    what = {"start": gap.start, "end": gap.end, "reason": gap.reason, "run_id": run_id}
    connection.execute(statement("insert_gap"), {**where, **what})


def refused(prepared: Prepared, outcome: Outcome) -> list[RejectedRecord]:
    """The records that end as dead letters, but those that were discarded before."""
    return sorted((*prepared.decoded.refused, *outcome.refused))


def _in_order(chunk: Chunk) -> list[OffsetRange]:
    return sorted((r for r in chunk.ranges if r.start != r.end), key=lambda r: r.topic_partition)
