"""Books what is taken away after it was stored: signed differences against the ranges that the ledger has of it.

What belongs here: the ledger's side of erasure and retention, and that of the totals. What does not: the deleting. A
replay compares a range with what the ledger has for exactly that range, so differences are recorded for the ranges of
the ledger and no others.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from assets.ingest import metric_counts, storage_rules
from assets.ingest.ledger import Author
from assets.ingest.ledger_queries import block_folding
from assets.ingest.partitions import on_table
from assets.ingest.sql import statement
from monitoring.metrics.totals import NO_LANE
from resources.postgres import Connection

Becomes = Literal["erased", "expired"]


class Reclassified(NamedTuple):
    """How many records became something else."""

    stored: int
    dead_letters: int


def begin(connection: Connection) -> None:
    """First in a transaction that deletes rows and records it: keep out who would record the same, and make `lost`.

    `lost (topic_id, partition, kafka_offset, outcome)` is to be filled with the records that were deleted, and what
    they were recorded as: stored or dead_letters.
    """
    storage_rules.block_replays(connection)
    block_folding(connection)
    connection.execute(statement("stage_lost"))


def write_difference(connection: Connection, author: Author, becomes: Becomes) -> Reclassified:
    """Book the records in `lost`."""
    connection.execute(statement("ranges_of_lost"))
    return _write(connection, author, becomes)


def write_table_difference(connection: Connection, author: Author, becomes: Becomes, table: str) -> Reclassified:
    """Book all rows of a partition, many millions perhaps; `begin` was called before."""
    connection.execute(on_table(statement("ranges_of_table"), table))
    return _write(connection, author, becomes)


def count(connection: Connection, becomes: Becomes, types: Mapping[str, int], letters: int = 0) -> None:
    """Add what was deleted, events by type and dead letters, to the totals; last before COMMIT."""
    metric_counts.taken_away(becomes, types, letters).write(connection, NO_LANE)


def _write(connection: Connection, author: Author, becomes: str) -> Reclassified:
    booking = {"author": author.run_id, "booking": author.kind, "becomes": becomes}
    row = connection.execute(statement("book_lost"), booking).fetchone()
    return Reclassified(*(row or (0, 0)))
