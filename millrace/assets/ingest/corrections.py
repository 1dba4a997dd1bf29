"""Books what is taken away after it was stored: signed differences against the ranges that the ledger has of it.

What belongs here: the ledger's side of erasure and retention, and that of the totals. What does not: the deleting. A
replay compares a range with what is booked for exactly that range, so differences are booked for the ranges of the
ledger and no others.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from millrace.assets.ingest import counted, gate
from millrace.assets.ingest.books import hold_open
from millrace.assets.ingest.ledger import Author
from millrace.assets.ingest.partitions import on_table
from millrace.assets.ingest.sql import statement
from millrace.metrics.totals import NO_LANE
from millrace.resources.postgres import Connection

Becomes = Literal["erased", "expired"]


class Booked(NamedTuple):
    """How many records became something else."""

    stored: int
    dead_letters: int


def begin(connection: Connection) -> None:
    """First in a transaction that deletes and books: keep out who would book the same, and make `lost`.

    `lost (topic_id, partition, kafka_offset, outcome)` is to be filled with the records that were deleted, and what
    they were booked as: stored or dead_letters.
    """
    gate.keep_books(connection)
    hold_open(connection)
    connection.execute(statement("stage_lost"))


def book(connection: Connection, author: Author, becomes: Becomes) -> Booked:
    """Book the records in `lost`."""
    connection.execute(statement("ranges_of_lost"))
    return _write(connection, author, becomes)


def book_table(connection: Connection, author: Author, becomes: Becomes, table: str) -> Booked:
    """Book all rows of a partition, many millions perhaps; `begin` was called before."""
    connection.execute(on_table(statement("ranges_of_table"), table))
    return _write(connection, author, becomes)


def count(connection: Connection, becomes: Becomes, types: Mapping[str, int], letters: int = 0) -> None:
    """Add what was deleted, events by type and letters, to the totals; last before COMMIT."""
    counted.taken_away(becomes, types, letters).write(connection, NO_LANE)


def _write(connection: Connection, author: Author, becomes: str) -> Booked:
    booking = {"author": author.run_id, "booking": author.kind, "becomes": becomes}
    row = connection.execute(statement("book_lost"), booking).fetchone()
    return Booked(*(row or (0, 0)))
