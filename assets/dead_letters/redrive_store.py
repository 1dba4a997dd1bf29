"""One chunk of dead letters tried again, in one transaction: as the ingest stores, but no offset moves.

What belongs here: what a redrive does in its transaction beside what `ingest.store` does. What does not: which dead
dead_letters (`redrive`). The order of locks is that of the ingest: fences by partition, events by key, dead letters by
coordinate, counts by minute.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from assets import audit
from assets.dead_letters.dead_letter import DeadLetter
from assets.dead_letters.sql import statement
from assets.ingest import dead_letter_history, metric_counts, prior_outcome
from assets.ingest.dead_letter_history import AttemptEntry
from assets.ingest.metric_counts import NewRows
from assets.ingest.model import Counts, Outcome
from assets.ingest.partitions import Partitions
from assets.ingest.plan import OffsetRange
from assets.ingest.storage_rules import StorageRules
from assets.ingest.store import Prepared, Store
from resources.postgres import Connection, rollback


class ConcurrentChange(Exception):
    """Some of the dead letters are not any more what they were when they were read; nothing was changed."""


@dataclass
class RedriveStore:
    """Stores what has become valid of a chunk of dead letters; with `dry_run` it does all of it and rolls back."""

    store: Store
    call: audit.AuditedCall
    statuses: Sequence[str]
    dry_run: bool = False

    def redrive(self, connection: Connection, prepared: Prepared) -> dict[int, AttemptEntry]:
        """Try the dead letters that the chunk was made of.

        Returns:
            What became of each, by position.

        Raises:
            ConcurrentChange: somebody else tried, discarded or deleted one of them meanwhile.
            PartitionMissing, NothingStorable, psycopg.Error: nothing was committed, unless the connection died during
                COMMIT.
        """
        began = time.monotonic()
        dead_letters = cast("Sequence[DeadLetter]", prepared.chunk.records)
        chosen = {
            "ids": [x.dead_letter_id for x in dead_letters],
            "statuses": list(self.statuses),
            "by": self.store.author.run_id,
        }
        rules = self._begin(connection, prepared)
        self.store.lock_ranges(connection, prepared.chunk)
        if connection.execute(statement("still_chosen"), chosen).fetchone() != (len(dead_letters),):
            raise ConcurrentChange
        decoded, refused_now = prepared.decoded, [r.position for r in prepared.decoded.refused]
        stays = Outcome(present=prior_outcome.stored(connection, prepared.chunk, refused_now))
        prepared = self.store.exclude(connection, prepared.less(stays), rules)
        outcome, tally = self.store.insert(connection, prepared, optimistic=False)
        refused = [*prepared.decoded.refused, *outcome.refused]
        known = {position: dead_letter.known() for position, dead_letter in enumerate(dead_letters)}
        became = dead_letter_history.entries(known, prepared.claimed, outcome + prepared.stays, refused)
        self._settle(connection, chosen, became.values())
        if self.dry_run:
            rollback(connection)
            return became
        audit.add(connection, self.call, outcome_counts(dead_letters, became))
        recorded = self.store.record(connection, prepared, outcome, _differences(prepared, tally.by_range), began)
        self.store.commit(connection, prepared, NewRows(recorded.events, {}), metric_counts.redriven(decoded, became))
        return became

    def _begin(self, connection: Connection, prepared: Prepared) -> StorageRules:
        if self.dry_run:  # partitions are made within its transaction, and not remembered: they are rolled back too
            connection.execute("begin")
            self.store.partitions = Partitions()
        return self.store.begin(connection, prepared)

    def _settle(self, connection: Connection, chosen: Mapping[str, object], became: Iterable[AttemptEntry]) -> None:
        made = [entry for entry in became if entry.outcome != "erased"]  # such a dead letter is gone by now
        locked = [row[0] for row in connection.execute(statement("lock_dead_letters"), chosen)]
        if {e.dead_letter for e in made} != set(locked):
            raise ConcurrentChange
        dead_letter_history.begin(connection, locked)
        update = {
            "ids": [e.dead_letter for e in made],
            "statuses": ["open" if e.outcome == "refused" else "resolved" for e in made],
            "codes": [e.code for e in made],
            "reasons": [e.reason for e in made],
        }
        connection.execute(statement("settle_dead_letters"), {**update, "by": self.store.author.run_id})
        dead_letter_history.write(connection, made, self.store.author.run_id)


def outcome_counts(
    dead_letters: Sequence[DeadLetter], became: Mapping[int, AttemptEntry]
) -> dict[str, dict[str, dict[str, int]]]:
    """How many dead letters ended how, by the code that they had."""
    counted: dict[str, Counter[str]] = {}
    for position, entry in became.items():
        counted.setdefault(dead_letters[position].code, Counter())[entry.outcome] += 1
    return {"by_code": {code: dict(counter) for code, counter in sorted(counted.items())}}


def _differences(prepared: Prepared, by_range: Sequence[Counts]) -> list[tuple[OffsetRange, Counts]]:
    """What the ledger lacks: it counts each of these records as a dead letter."""
    sizes = Counter(prepared.chunk.sources)
    pairs = (
        (r, counts - Counts(records=sizes[source], dead_letters=sizes[source]))
        for source, (r, counts) in enumerate(zip(prepared.chunk.ranges, by_range, strict=True))
    )
    return [(r, counts) for r, counts in pairs if counts != Counts()]
