"""Folds old batches of the ledger into sums, and deletes settled dead letters and old audit entries.

What belongs here: the transactions that do it. What does not: which batches become one (`folding`), and raw events
(`retention`).

Batches are folded from the first one on, by the hour, and later all into one. A fold is itself a batch, of kind
`closed`, under the number of the first that it stands for: whoever sums up the ledger, or follows it from range to
range, needs to know nothing of it. Only a replay does: what is closed cannot be replayed. See docs/adr/0009.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from assets.upkeep.folding import LedgerBatch, groups, hour_of
from assets.upkeep.sql import statement
from resources import locks
from resources.postgres import Connection, Postgres, commit, rollback

APPLICATION = "millrace-upkeep"

# So long there is a sum an hour; what is older is one. With 100 partitions that is 216,000 ranges.
HOURLY = timedelta(days=90)

_PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class LedgerHistory:
    """How long what is kept, and how much is done in one transaction."""

    batches: timedelta = timedelta(days=7)
    dead_letters: timedelta = timedelta(days=90)
    audit: timedelta = timedelta(days=400)
    page: int = 5_000
    budget: timedelta = timedelta(minutes=5)


@dataclass
class Folded:
    """What a pass did: batches folded, dead letters and entries forgotten, transactions, seconds."""

    batches: int = 0
    dead_letters_deleted: int = 0
    dead_letters_emptied: int = 0
    audit: int = 0
    transactions: int = 0
    seconds: float = 0.0
    done: bool = True


def fold_ledger(
    postgres: Postgres,
    history: LedgerHistory,
    run_id: str,
    now: datetime | None = None,
    failpoint: Callable[[str], None] = lambda _: None,
) -> Folded:
    """Fold and forget what is older than the history says, for as long as the budget lasts.

    Args:
        postgres: the database.
        history: what is kept how long.
        run_id: who folds.
        now: instead of the clock, for tests.
        failpoint: called before each COMMIT.

    Raises:
        psycopg.Error: the database cannot be asked; every transaction happened or did not.
    """
    with postgres.connect(APPLICATION, statement_timeout_seconds=60) as connection:
        work = _Folding(connection, history, run_id, now or datetime.now(UTC), failpoint)
        return work.do()


@dataclass
class _Folding:
    connection: Connection
    history: LedgerHistory
    run_id: str
    now: datetime
    failpoint: Callable[[str], None]
    closed: Folded = field(default_factory=Folded)
    began: float = field(default_factory=time.monotonic)

    def do(self) -> Folded:
        self._until_done(lambda: self._fold(hour_of(self.now - self.history.batches), hourly=True))
        self._until_done(lambda: self._fold(hour_of(self.now - self.history.batches - HOURLY), hourly=False))
        self._until_done(self._forget_dead_letters)
        self._until_done(self._forget_audit)
        self.closed.seconds = time.monotonic() - self.began
        return self.closed

    def _until_done(self, step: Callable[[], bool]) -> None:
        while step():
            if time.monotonic() - self.began > self.history.budget.total_seconds():
                self.closed.done = False
                return

    def _fold(self, cutoff: datetime, *, hourly: bool) -> bool:
        """One transaction; whether there may be more to fold.

        One snapshot: a batch that is committed meanwhile is in none of the sums and in none of the deletions. The lock
        is taken before, or the snapshot would be older than what another fold did. Ingest does not know of it.
        """
        if not self._locked():
            self.closed.done = False
            return False
        try:
            self.connection.execute("begin isolation level repeatable read")
            page = self._page(cutoff, hourly=hourly)
            todo = groups(page, hourly=hourly)
            for group in todo:
                for name in ("fold_ranges", "fold_batches", "delete_folded"):
                    bounds = {"first": group.first, "last": group.last, "run_id": self.run_id}
                    self.connection.execute(statement(name), bounds)
            self.failpoint("before_commit")
            commit(self.connection)
        except BaseException:
            rollback(self.connection)
            raise
        finally:
            if not self.connection.closed:
                self.connection.execute("select pg_advisory_unlock(%s)", (locks.LEDGER,))
        self.closed.batches += sum(group.batches for group in todo)
        self.closed.transactions += bool(todo)
        return bool(todo) and len(page) == self.history.page

    def _locked(self) -> bool:
        """Whether the lock was had. Asked for again and again: one who waits in line holds up those that come after."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            [[held]] = self.connection.execute("select pg_try_advisory_lock(%s)", (locks.LEDGER,)).fetchall()
            if held or time.monotonic() > deadline:
                return bool(held)
            time.sleep(0.05)

    def _page(self, cutoff: datetime, *, hourly: bool) -> list[LedgerBatch]:
        row: Any = self.connection.execute(statement("ledger_below"), {"cutoff": cutoff}).fetchone()
        below, last_closed = row
        start = (last_closed if hourly else None) or 0
        bounds = {"start": start, "below": below or 0, "most": self.history.page}
        return [LedgerBatch(*found) for found in self.connection.execute(statement("ledger_page"), bounds)]

    def _forget_dead_letters(self) -> bool:
        # Not before its batch: as long as that may be replayed, the replay asks for the dead letter.
        before = self.now - max(self.history.dead_letters, self.history.batches)
        bounds = {"before": before, "most": self.history.page}
        row: Any = self.connection.execute(statement("delete_dead_letters"), bounds).fetchone()
        deleted, emptied = row
        self.closed.dead_letters_deleted += deleted
        self.closed.dead_letters_emptied += emptied
        return deleted + emptied > 0

    def _forget_audit(self) -> bool:
        bounds = {"before": self.now - self.history.audit, "most": self.history.page}
        deleted = self.connection.execute(statement("delete_audit"), bounds).rowcount
        self.closed.audit += deleted
        return deleted > 0
