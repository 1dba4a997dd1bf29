"""One chunk that was committed long ago, stored again in one transaction: what a replay does. No offset moves.

What belongs here: what a replay does instead of the ingest's own steps, which are in `store`, as is the order of locks.
What does not: which chunks are replayed (`replay`), and what a record stays that is refused by now (`prior_outcome`).
"""

import time
from dataclasses import dataclass, replace
from typing import NamedTuple

from assets.ingest import dead_letter_history, dead_letters, ledger_queries, metric_counts, prior_outcome
from assets.ingest.metric_counts import NewRows
from assets.ingest.model import Counts, Outcome
from assets.ingest.storage_rules import StorageRules
from assets.ingest.store import Prepared, Store, refused
from resources.postgres import Connection


class RangesFolded(Exception):
    """The ledger knows these ranges as a sum only; a replay cannot know what to record."""


class ReplayDifference(NamedTuple):
    """What a replay recorded, and the positions of the records that are stored now."""

    counts: Counts
    stored: list[int]


@dataclass
class ReplayStore:
    """Stores what is missing of chunks that were committed."""

    store: Store

    def replay(self, connection: Connection, prepared: Prepared) -> ReplayDifference:
        """Store what is missing of a chunk that was committed long ago; records the difference, moves no offset.

        The chunk's ranges must be ranges of the ledger, so that what the ledger has of each is known.

        Raises:
            RangesFolded: they are not any more; nothing was changed.
        """
        began = time.monotonic()
        rules = self.store.begin(connection, prepared)
        self.store.lock_ranges(connection, prepared.chunk)
        if ledger_queries.folded_ranges(connection, prepared.chunk.ranges):
            raise RangesFolded
        known, decoded = dead_letter_history.read(connection, prepared.chunk), prepared.decoded
        prepared = self._as_it_was(connection, prepared, rules, known)
        outcome, tally = self.store.insert(connection, prepared, optimistic=False)
        dead_letters_open = {p: k for p, k in known.items() if k.status == "open"}
        fresh = self._try_dead_letters(connection, prepared, outcome, known)
        ranges = zip(prepared.chunk.ranges, tally.by_range, strict=True)
        differences = [(r, _by_postgres(c) - ledger_queries.ledger_counts(connection, r)) for r, c in ranges]
        difference = sum((c for _, c in differences), Counts())
        events = self.store.record(connection, prepared, outcome, differences, began).events
        became = outcome + prepared.stays
        totals = metric_counts.replayed(decoded, prepared.claimed, became, difference, dead_letters_open)
        self.store.commit(connection, prepared, NewRows(events, fresh), totals)
        return ReplayDifference(difference, [*became.stored, *became.present])

    def _as_it_was(
        self,
        connection: Connection,
        prepared: Prepared,
        rules: StorageRules,
        known: dict[int, dead_letter_history.PriorAttempt],
    ) -> Prepared:
        """The chunk less what stays what it is: what a stricter rule refuses by now, and what other rules keep out."""
        discarded = [p for p, k in known.items() if k.status == "discarded"]
        questioned = {*discarded, *(r.position for r in prepared.decoded.refused)}
        there = prior_outcome.stored(connection, prepared.chunk, questioned)
        stays = dead_letter_history.settled(prepared.decoded, known, there)
        prepared = self.store.exclude(connection, prepared.less(stays), rules)
        rest = {r.position for r in prepared.decoded.refused} - {p for p, k in known.items() if k.status == "open"}
        return prepared.less(prior_outcome.as_counted(connection, prepared.chunk, rest, rules.frontier))

    def _try_dead_letters(
        self,
        connection: Connection,
        prepared: Prepared,
        outcome: Outcome,
        known: dict[int, dead_letter_history.PriorAttempt],
    ) -> dict[str, int]:
        """Try the dead letters that are known again, and write those that are not; how many of these, by code.

        Those of discarded records stay as they are, and so do resolved ones, but what is refused by now.
        """
        again, became = refused(prepared, outcome), outcome + prepared.stays
        positions = {r.position for r in again}
        done = {*became.stored, *became.present, *became.duplicates, *became.expired, *prepared.claimed.duplicates}
        tried = {p: k for p, k in known.items() if p in (positions if k.status == "resolved" else positions | done)}
        dead_letter_history.begin(connection, [k.dead_letter for k in tried.values()])
        fresh = dead_letters.store(connection, prepared.chunk, again, self.store.author.run_id)
        dead_letters.resolve(connection, prepared.chunk, sorted(done), self.store.author.run_id)
        made = dead_letter_history.entries(tried, prepared.claimed, became, again)
        dead_letter_history.write(connection, made.values(), self.store.author.run_id)
        return fresh


def _by_postgres(counts: Counts) -> Counts:
    """The ledger keeps no source of duplicates by range: compare them as one sum."""
    return replace(counts, duplicates_redis=0, duplicates_postgres=counts.duplicates)
