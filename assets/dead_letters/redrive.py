"""Dead letters are tried again with today's code, from the bytes that were kept: Kafka may have forgotten them.

What belongs here: the loop over the chosen dead letters, chunk by chunk. What does not: the transaction
(`redrive_store`).
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from logging import Logger
from typing import Any

from assets import audit
from assets.dead_letters import dead_letter
from assets.dead_letters import selection as choices
from assets.dead_letters.dead_letter import DeadLetter
from assets.dead_letters.redrive_store import ConcurrentChange, RedriveStore, outcome_counts
from assets.dead_letters.selection import Selection
from assets.dead_letters.sql import statement
from assets.ingest import reprocess
from assets.ingest.dead_letter_history import AttemptEntry
from assets.ingest.frame import decode
from assets.ingest.ledger import Author
from assets.ingest.run import read, retry_policy, store_chunk
from assets.ingest.store import Store
from assets.ingest.worker import Worker
from monitoring.metrics.totals import NO_LANE

_DEAD_LETTERS, _BYTES = 2_000, 32 * 1024 * 1024
_MOST_OVERTAKEN = 100

Progress = Callable[[int, int], None]
"""Called with how many of the chosen dead letters are done, and how many there are."""


@dataclass
class Redriven:
    """What a redrive did, or would do: by code, how many dead letters ended how."""

    run: str
    chosen: int = 0
    by_code: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    def add(self, dead_letters: Sequence[DeadLetter], became: dict[int, AttemptEntry]) -> None:
        """Count what became of dead letters."""
        self.by_code = audit.merged(self.by_code, outcome_counts(dead_letters, became)["by_code"])

    def total(self, outcome: str) -> int:
        """How many ended so: stored, duplicate, refused, erased or expired."""
        return sum(counts.get(outcome, 0) for counts in self.by_code.values())

    @property
    def skipped(self) -> int:
        """Those that somebody else settled meanwhile."""
        return self.chosen - sum(sum(counts.values()) for counts in self.by_code.values())


@dataclass
class Redrive:
    """A redrive, for as long as it lasts."""

    worker: Worker
    choice: Selection
    log: Logger
    dry_run: bool = False
    run: str = field(default_factory=lambda: f"redrive-{uuid.uuid4().hex[:12]}")

    def __call__(self, progress: Progress = lambda _done, _of: None) -> Redriven:
        """Try every chosen dead letter once. What was committed stays; running it again is safe.

        Raises:
            StorageFailed, psycopg.Error: PostgreSQL failed for longer than a run's time.
        """
        connection = self.worker.database.connection
        found, last = self.worker.database.read(lambda kept: choices.count(kept, self.choice))
        done, tried = Redriven(self.run, found), 0
        try:
            for page in choices.pages(connection, self.choice, last, most=_DEAD_LETTERS, most_bytes=_BYTES):
                self._try_page(page, done)
                tried += len(page)
                progress(min(tried, found), found)
        finally:
            self.worker.flush(NO_LANE, self.log)
        return done

    def _try_page(self, page: list[int], done: Redriven) -> None:
        for _ in range(_MOST_OVERTAKEN):
            dead_letters = read(self.worker, lambda c: dead_letter.read(c, page, self.choice.statuses, self.run))
            if not dead_letters:
                return
            try:
                done.add(dead_letters, self._try(dead_letters))
                return
            except ConcurrentChange:
                done.add(dead_letters, self._committed(dead_letters))
        raise RuntimeError("dead letters change faster than they can be tried")

    def _try(self, dead_letters: Sequence[DeadLetter]) -> dict[int, AttemptEntry]:
        decoded = decode(self.worker.decoder, dead_letter.chunk_of(dead_letters))
        prepared, limits = reprocess.prepare(self.worker, decoded), self.worker.limits
        until = time.monotonic() + limits.budget_seconds
        author = Author(self.run, 0, "redrive")
        call = audit.AuditedCall(self.run, audit.actor(), "redrive", str(self.choice))
        worker = self.worker
        ours = Store(author, worker.partitions, worker.failpoint, pending=worker.pending, totals_lane=NO_LANE)
        store = RedriveStore(ours, call, self.choice.statuses, dry_run=self.dry_run)
        became = store_chunk(worker, store.redrive, prepared, retry_policy(worker, until), self.log) or {}
        if not self.dry_run:
            stored = [p for p, entry in became.items() if entry.outcome == "stored"]
            reprocess.claim(worker, decoded, stored)
        return became

    def _committed(self, dead_letters: Sequence[DeadLetter]) -> dict[int, AttemptEntry]:
        """What this redrive itself made of dead letters when the connection died during COMMIT, and it did commit."""
        asked = {"ids": [x.dead_letter_id for x in dead_letters], "by": self.run}
        rows: list[tuple[Any, ...]] = read(
            self.worker, lambda connection: connection.execute(statement("done_by_run"), asked).fetchall()
        )
        outcomes: dict[int, str] = dict(rows)
        return {
            position: AttemptEntry(x.dead_letter_id, outcomes[x.dead_letter_id])
            for position, x in enumerate(dead_letters)
            if x.dead_letter_id in outcomes
        }
