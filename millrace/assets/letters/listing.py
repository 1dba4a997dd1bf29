"""What people and scripts are shown of dead letters. Reads only.

What belongs here: the queries and their rows. What does not: printing (`orchestration.cli`).
"""

from collections import defaultdict
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from millrace.assets.letters.choice import Choice
from millrace.assets.letters.sql import statement
from millrace.resources.postgres import Connection


class Group(NamedTuple):
    """The chosen letters of one code."""

    code: str
    letters: int
    first: datetime
    last: datetime


class Row(NamedTuple):
    """A letter without what it holds; without the reason too, which quotes it."""

    id: int
    topic: str
    partition: int
    offset: int
    code: str
    status: str
    attempts: int
    first_seen_at: datetime
    last_attempt_at: datetime


class Attempt(NamedTuple):
    """What became of a letter at one attempt, or that it was discarded."""

    attempt: int
    at: datetime
    outcome: str
    code: str | None
    reason: str | None
    run_id: str


class Whole(NamedTuple):
    """Everything that is kept of a letter: personal data, in all likelihood."""

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


def summary(connection: Connection, choice: Choice) -> list[Group]:
    """The chosen letters by code, the most frequent first."""
    return [Group(*row) for row in connection.execute(statement("summarize_letters"), choice.parameters())]


def newest(connection: Connection, choice: Choice, most: int) -> list[Row]:
    """The chosen letters that came last."""
    rows = connection.execute(statement("list_letters"), {**choice.parameters(), "most": most})
    return [Row(*row) for row in rows]


def whole(connection: Connection, ids: tuple[int, ...]) -> list[tuple[Whole, list[Attempt]]]:
    """Letters and their histories; a letter that was tried once only has a history of that."""
    histories: defaultdict[int, list[Attempt]] = defaultdict(list)
    for letter, *rest in connection.execute(statement("show_history"), {"ids": list(ids)}).fetchall():
        histories[letter].append(Attempt(*rest))
    found = [Whole(*row) for row in connection.execute(statement("show_letters"), {"ids": list(ids)})]
    return [(letter, histories[letter.id] or [_first(letter)]) for letter in found]


def _first(letter: Whole) -> Attempt:
    return Attempt(letter.attempts, letter.last_attempt_at, "refused", letter.code, letter.reason, letter.run_id)
