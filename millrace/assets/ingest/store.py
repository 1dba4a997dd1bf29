"""One chunk, one transaction: the fence, the rows, the letters, the counts, the ledger, COMMIT.

What belongs here: the order of these steps and what ends them. What does not: how rows get in (`rows`), when to try
again (`attempt`). One lock order everywhere, so that lanes never deadlock: fences by partition, events by key, dead
letters by coordinate, counts by minute and type, these last before COMMIT.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from millrace.assets.ingest import books, ledger, letters, rows, touched
from millrace.assets.ingest.ledger import Author, Tally
from millrace.assets.ingest.model import Chunk, Claimed, Counts, Decoded, Gap, Outcome
from millrace.assets.ingest.partitions import Partitions
from millrace.assets.ingest.plan import Range
from millrace.assets.ingest.sql import statement
from millrace.resources.postgres import Connection, commit

LOCK_TIMEOUT_SECONDS = 2

Step = Callable[[str], None]
"""Called with the name of each point that was reached; tests stop or kill the process there."""


class AlreadyCommitted(Exception):
    """Somebody else moved the offsets of this chunk; there is nothing left to do."""


@dataclass(frozen=True)
class Prepared:
    """A chunk that is ready to be stored."""

    decoded: Decoded
    claimed: Claimed
    frame: pd.DataFrame
    frame_seconds: float = 0.0
    retries: int = 0

    @property
    def chunk(self) -> Chunk:
        """The records."""
        return self.decoded.chunk


@dataclass
class Store:
    """Stores chunks on one connection."""

    author: Author
    partitions: Partitions = field(default_factory=Partitions)
    reached: Step = lambda _: None
    verify: Callable[[Chunk], None] = lambda _: None

    def ingest(self, connection: Connection, prepared: Prepared) -> Counts:
        """Store a chunk and move its offsets, or change nothing at all.

        Raises:
            AlreadyCommitted: the offsets had been moved already.
            rows.PartitionMissing, rows.NothingStorable, psycopg.Error: nothing was committed, unless the connection
                died during COMMIT.
        """
        began = time.monotonic()
        self._prepare(connection, prepared)
        self._fence(connection, prepared.chunk)
        clean = not prepared.claimed.degraded and not prepared.claimed.undecided
        outcome, tally = self._bring_in(connection, prepared, optimistic=clean)
        moved = [(r, c) for r, c in zip(prepared.chunk.ranges, tally.by_range, strict=True) if r.start != r.end]
        self._finish(connection, prepared, outcome, moved, began)
        return tally.total

    def replay(self, connection: Connection, prepared: Prepared) -> Counts:
        """Store what is missing of a chunk that was committed long ago; books the difference, moves no offset.

        The chunk's ranges must be ranges of the ledger, so that what is booked already is known of each.
        """
        began = time.monotonic()
        self._prepare(connection, prepared)
        for r in _in_order(prepared.chunk):
            # The lock of the fence, without its move: two replays of one range must not book the same difference.
            connection.execute(
                "select 1 from ops.offsets where topic_id = %s and partition = %s for update",
                (r.place.topic_id, r.place.partition),
            )
        outcome, tally = self._bring_in(connection, prepared, optimistic=False)
        accepted = {row.position for row in prepared.decoded.accepted} - {r.position for r in outcome.refused}
        letters.resolve(connection, prepared.chunk, sorted(accepted), self.author.run_id)
        ranges = zip(prepared.chunk.ranges, tally.by_range, strict=True)
        booked = [(r, _by_postgres(c) - books.booked(connection, r)) for r, c in ranges]
        self._finish(connection, prepared, outcome, booked, began)
        return sum((c for _, c in booked), Counts())

    def _prepare(self, connection: Connection, prepared: Prepared) -> None:
        today = datetime.now(UTC).date()
        self.partitions.ensure(connection, prepared.frame["occurred_at"].tolist(), today)
        connection.execute("begin")
        connection.execute("select set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_SECONDS}s",))

    def _fence(self, connection: Connection, chunk: Chunk) -> None:
        for r in _in_order(chunk):
            where = {"topic": r.topic, "topic_id": r.place.topic_id, "partition": r.place.partition}
            bounds = {"start": r.start, "end": r.end}
            if connection.execute(statement("fence"), {**where, **bounds}).rowcount:
                continue
            if not connection.execute(statement("open_place"), {**where, **bounds}).rowcount:
                raise AlreadyCommitted
            connection.execute(statement("fence"), {**where, **bounds})
            for topic_id, partition, lost_from in connection.execute(
                statement("replace_generations"), where
            ).fetchall():
                place = r.place._replace(topic_id=topic_id, partition=partition)
                self._record_gap(connection, Gap(r.topic, place, lost_from, None, "recreated"))
        for gap in chunk.gaps:
            self._record_gap(connection, gap)

    def _bring_in(self, connection: Connection, prepared: Prepared, *, optimistic: bool) -> tuple[Outcome, Tally]:
        incoming = rows.Rows(prepared.chunk, prepared.frame, self.partitions, self.reached)
        outcome = rows.store(connection, incoming, optimistic=optimistic)
        self.reached("after_copy")
        refused = sorted((*prepared.decoded.refused, *outcome.refused))
        letters.store(connection, prepared.chunk, refused, self.author.run_id)
        return outcome, ledger.tally(prepared.decoded, prepared.claimed, outcome)

    def _finish(
        self,
        connection: Connection,
        prepared: Prepared,
        outcome: Outcome,
        booked: list[tuple[Range, Counts]],
        began: float,
    ) -> None:
        stored = touched.stored_rows(prepared.frame, outcome)
        touched.count_minutes(connection, stored)
        decoded, claimed, chunk = prepared.decoded, prepared.claimed, prepared.chunk
        seconds = {
            "pull": chunk.pull_seconds,
            "decode": decoded.decode_seconds,
            "claim": claimed.claim_seconds,
            "frame": prepared.frame_seconds,
            "store": time.monotonic() - began,
        }
        facts: dict[str, Any] = {
            "path": outcome.path,
            "dedup_degraded": claimed.degraded,
            "retries": prepared.retries,
            **ledger.latency(chunk),
        }
        batch_id = ledger.book(connection, self.author, booked, seconds, facts)
        exact = self.author.kind == "ingest" and not outcome.present
        touched.mark_hours(connection, stored, batch_id, by_offsets=exact)
        self.verify(chunk)
        self.reached("before_commit")
        commit(connection)
        self.reached("after_commit")

    def _record_gap(self, connection: Connection, gap: Gap) -> None:
        connection.execute(
            statement("insert_gap"),
            {
                "topic": gap.topic,
                "topic_id": gap.place.topic_id,
                "partition": gap.place.partition,
                "start": gap.start,
                "end": gap.end,
                "reason": gap.reason,
                "run_id": self.author.run_id,
            },
        )


def _by_postgres(counts: Counts) -> Counts:
    """The ledger keeps no source of duplicates by range: compare them as one sum."""
    return replace(counts, duplicates_redis=0, duplicates_postgres=counts.duplicates)


def _in_order(chunk: Chunk) -> list[Range]:
    return sorted((r for r in chunk.ranges if r.start != r.end), key=lambda r: r.place)
