"""What people and scripts are shown of dead letters. Reads only.

What belongs here: the queries and their rows. What does not: printing (`orchestration.cli`).
"""

from collections import defaultdict
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from assets.dead_letters.selection import Selection, choosing
from assets.dead_letters.sql import statement
from contract.contract import Contract
from resources.postgres import Connection


class Group(NamedTuple):
    """The chosen dead letters of one code and one declared field, and the newest of them."""

    code: str
    path: str | None
    letters: int
    example: int
    first: datetime
    last: datetime


class DeadLetterRow(NamedTuple):
    """A dead letter without key, value and headers. The reason may quote the value."""

    id: int
    topic: str
    partition: int
    offset: int
    code: str
    status: str
    attempts: int
    first_seen_at: datetime
    last_attempt_at: datetime
    reason: str


class AttemptRow(NamedTuple):
    """What became of a dead letter at one attempt, or that it was discarded."""

    attempt: int
    at: datetime
    outcome: str
    code: str | None
    reason: str | None
    run_id: str


class DeadLetterDetail(NamedTuple):
    """Everything that is kept of a dead letter: personal data, in all likelihood."""

    id: int
    topic: str
    topic_id: UUID
    partition: int
    offset: int
    kafka_timestamp: datetime | None
    key: bytes | None
    value: bytes | None
    header_names: list[bytes]
    header_values: list[bytes | None]
    code: str
    reason: str
    status: str
    attempts: int
    first_seen_at: datetime
    last_attempt_at: datetime
    run_id: str


def groups(connection: Connection, choice: Selection, contract: Contract) -> list[Group]:
    """The chosen dead letters by code and declared field, the most frequent first."""
    asked = {**choice.parameters(), "place": contract.declared_place}
    return [Group(*row) for row in connection.execute(choosing("summarize_dead_letters"), asked)]


def newest(connection: Connection, choice: Selection, most: int) -> list[DeadLetterRow]:
    """The chosen dead letters that came last."""
    rows = connection.execute(choosing("list_dead_letters"), {**choice.parameters(), "most": most})
    return [DeadLetterRow(*row) for row in rows]


def details(connection: Connection, ids: tuple[int, ...]) -> list[tuple[DeadLetterDetail, list[AttemptRow]]]:
    """Dead letters and their histories; a dead letter that was tried once only has a history of that."""
    histories: defaultdict[int, list[AttemptRow]] = defaultdict(list)
    for dead_letter, *rest in connection.execute(statement("show_history"), {"ids": list(ids)}).fetchall():
        histories[dead_letter].append(AttemptRow(*rest))
    found = [DeadLetterDetail(*row) for row in connection.execute(statement("show_dead_letters"), {"ids": list(ids)})]
    return [(dead_letter, histories[dead_letter.id] or [_first(dead_letter)]) for dead_letter in found]


def _first(dead_letter: DeadLetterDetail) -> AttemptRow:
    return AttemptRow(
        dead_letter.attempts,
        dead_letter.last_attempt_at,
        "refused",
        dead_letter.code,
        dead_letter.reason,
        dead_letter.run_id,
    )
