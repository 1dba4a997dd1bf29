"""What is known of the dead letters of a chunk's records, and their history: an entry for each attempt.

What belongs here: reading it before a record is tried again, and what it means for that; writing what became of it.
What does not: writing dead letters down (`dead_letters`), and who tries them again (`replay`, `assets.dead_letters`).
The first entry is written when a dead letter is tried again: a flood of garbage that nobody looks at costs no history.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from assets.ingest.model import Chunk, Decoded, Deduplicated, Outcome, RejectedRecord
from assets.ingest.sql import statement
from contract.codes import RejectionCode
from resources.postgres import Connection

_CALLED = {"present": "stored", "duplicates": "duplicate"}
_LISTED = {"duplicate": "duplicates", "erased": "erased", "expired": "expired"}


class PriorAttempt(NamedTuple):
    """A dead letter of a record that is at hand again."""

    dead_letter: int
    status: str
    code: str
    reason: str
    outcome: str | None  # of its last attempt, where it has a history


class AttemptEntry(NamedTuple):
    """What became of a dead letter."""

    dead_letter: int
    outcome: str
    code: str | None = None
    reason: str | None = None


def read(connection: Connection, chunk: Chunk) -> dict[int, PriorAttempt]:
    """The dead letters of the chunk's records, by position.

    Args:
        connection: in a transaction that holds the fences of the chunk, so that nothing else tries its records.
        chunk: the records.
    """
    found = connection.execute(
        statement("known_dead_letters"),
        {
            "topic_ids": [r.topic_partition.topic_id for r in chunk.ranges],
            "partitions": [r.topic_partition.partition for r in chunk.ranges],
            "starts": [r.start for r in chunk.ranges],
            "ends": [r.end for r in chunk.ranges],
        },
    ).fetchall()
    dead_letters = {(source - 1, offset): PriorAttempt(*rest) for source, offset, *rest in found}
    at = zip(chunk.sources, (record.offset() for record in chunk.records), strict=True)
    return {position: dead_letters[key] for position, key in enumerate(at) if key in dead_letters}


def settled(decoded: Decoded, known: Mapping[int, PriorAttempt], stored: Collection[int]) -> Outcome:
    """Which records of a replay stay what they are, whatever today's code says of them.

    What is stored stays stored. A record that was discarded stays a dead letter, also if it is valid by now: somebody
    decided that. One whose dead letter was resolved as a duplicate, say, stays one, also if it would be refused.

    Args:
        decoded: the chunk.
        known: its dead letters.
        stored: those that would be refused, or were discarded, and that are stored.
    """
    stays, refused, there = Outcome(present=sorted(stored)), {r.position for r in decoded.refused}, set(stored)
    for position, found in known.items():
        if position in there:
            continue
        if found.status == "discarded":
            stays.refused.append(RejectedRecord(position, RejectionCode(found.code), found.reason))
        elif found.status == "resolved" and position in refused and found.outcome in _LISTED:
            getattr(stays, _LISTED[found.outcome]).append(position)
    return stays


def without(decoded: Decoded, claimed: Deduplicated, stays: Outcome) -> tuple[Decoded, Deduplicated]:
    """A chunk less the records that stay what they are."""
    again = (*stays.present, *stays.duplicates, *stays.erased, *stays.expired)
    done = {*again, *(r.position for r in stays.refused)}
    return (
        replace(
            decoded,
            accepted=[a for a in decoded.accepted if a.position not in done],
            refused=[r for r in decoded.refused if r.position not in done],
        ),
        replace(
            claimed,
            rows=[a for a in claimed.rows if a.position not in done],
            duplicates=[p for p in claimed.duplicates if p not in done],
        ),
    )


def entries(
    known: Mapping[int, PriorAttempt], claimed: Deduplicated, outcome: Outcome, refused: Sequence[RejectedRecord]
) -> dict[int, AttemptEntry]:
    """What became of the dead letters that were tried again, by the position of their records."""
    names = dict.fromkeys(claimed.duplicates, "duplicate")
    for name, positions in vars(outcome).items():
        if name not in ("path", "refused"):
            names.update(dict.fromkeys(positions, _CALLED.get(name, name)))
    made = {p: AttemptEntry(known[p].dead_letter, name) for p, name in names.items() if p in known}
    again = {
        r.position: AttemptEntry(known[r.position].dead_letter, "refused", r.code.value, r.reason)
        for r in refused
        if r.position in known
    }
    return made | again


def begin(connection: Connection, dead_letters: Collection[int]) -> None:
    """Lock dead letters that are about to change, and write their state down where they have no history yet."""
    if dead_letters:
        connection.execute(statement("begin_history"), {"dead_letters": list(dead_letters)})


def write(connection: Connection, made: Iterable[AttemptEntry], run_id: str) -> None:
    """Write what became of dead letters, after the dead letters themselves were updated."""
    listed = list(made)
    if listed:
        columns = {name + "s": [getattr(e, name) for e in listed] for name in AttemptEntry._fields}
        connection.execute(statement("write_history"), {**columns, "run_id": run_id})
