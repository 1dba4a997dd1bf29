"""Events into raw.events: straight in when nothing speaks against it, else checked against what is stored.

What belongs here: COPY, staging, settling, and the isolation of rows that PostgreSQL refuses. What does not: the
transaction around it (`store`). Everything here runs inside the caller's transaction, in the order of the key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import psycopg

from assets.ingest import frame as frames
from assets.ingest.model import Chunk, Outcome, RejectedRecord
from assets.ingest.partitions import Partitions
from assets.ingest.sql import statement
from contract.codes import RejectionCode
from resources.postgres import Connection

# Refusals of a row as such: data exceptions, integrity, and a limit of a data structure (a key too long for an index).
_REFUSING_CLASSES = ("22", "23")
_REFUSING_STATES = ("54000",)
_COPY = f"copy raw.events ({frames.COPY_COLUMNS}) from stdin (format binary)"
_STAGE = f"copy staged_events ({frames.STAGED_COLUMNS}) from stdin (format binary)"
_EMPTY_STAGE = "delete from staged_events"


class PartitionMissing(Exception):
    """There is no partition for a row: the catalog changed since it was looked at. Try again."""


class NothingStorable(Exception):
    """PostgreSQL refuses every row, even one that is known to be good: the fault is not in the data."""


@dataclass(frozen=True)
class EventWriter:
    """The events of a chunk on their way in."""

    chunk: Chunk
    frame: pd.DataFrame
    partitions: Partitions
    failpoint: Callable[[str], None] = lambda _: None

    def topic_partitions(self, *, staged: bool) -> Mapping[int, bytes]:
        """What `frame.copy_blocks` wants to know of the sources; -1 is the head of every row."""
        topic_partitions: dict[int, bytes] = {}
        for source, r in enumerate(self.chunk.ranges):
            topic_partitions[-1], topic_partitions[source] = frames.place_bytes(
                r.topic_partition.topic_id.bytes, r.topic_partition.partition, staged=staged
            )
        return topic_partitions


def insert_events(connection: Connection, rows: EventWriter, *, optimistic: bool) -> Outcome:
    """Bring the rows in and say what became of each.

    Args:
        connection: in a transaction.
        rows: in the order of the key.
        optimistic: try COPY straight into the table first; right when every row is believed to be new.

    Raises:
        PartitionMissing: try again after looking at the partitions anew.
        NothingStorable: the database refuses everything.
        psycopg.Error: anything that is no refusal of a row.
    """
    if rows.frame.empty:
        return Outcome()
    if optimistic and _copied(connection, rows):
        return Outcome("copy", stored=rows.frame["position"].tolist())
    connection.execute(statement("staging"))
    outcome = Outcome("staged")
    _merge(connection, rows, rows.frame, outcome)
    if len(outcome.refused) == len(rows.frame):
        _prove_that_rows_can_be_stored(connection)
    return outcome


def _copied(connection: Connection, rows: EventWriter) -> bool:
    """COPY into raw.events itself; False if some row is there already or refused, with nothing changed."""
    try:
        with connection.transaction(), connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for block in frames.copy_blocks(rows.frame, rows.topic_partitions(staged=False), staged=False):
                copy.write(block)
                rows.failpoint("during_copy")
    except psycopg.Error as error:
        if is_refusal(error):
            return False
        raise
    return True


def _merge(connection: Connection, rows: EventWriter, part: pd.DataFrame, outcome: Outcome) -> None:
    """Stage, insert what is new, settle the rest; halve the part until what is refused stands alone."""
    found = Outcome()
    try:
        with connection.transaction():
            _stage(connection, rows, part)
            _settle(connection, rows, part, found)
            connection.execute(_EMPTY_STAGE)
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        if len(part) == 1:
            position = int(part["position"].iloc[0])
            outcome.refused.append(RejectedRecord(position, RejectionCode.STORAGE_REJECTED, _refusal(error)))
            return
        half = len(part) // 2
        _merge(connection, rows, part.iloc[:half], outcome)
        _merge(connection, rows, part.iloc[half:], outcome)
        return
    for name, values in vars(found).items():
        if name != "path":
            getattr(outcome, name).extend(values)


def _stage(connection: Connection, rows: EventWriter, part: pd.DataFrame) -> None:
    with connection.cursor() as cursor, cursor.copy(_STAGE) as copy:
        for block in frames.copy_blocks(part, rows.topic_partitions(staged=True), staged=True):
            copy.write(block)


def _settle(connection: Connection, rows: EventWriter, part: pd.DataFrame, outcome: Outcome) -> None:
    positions = _by_coordinate(rows.chunk, part)
    claimed = [c for c in part["claimed_at"].tolist() if c is not None]
    # The joins look a few thousand keys up; a plan that reads whole partitions instead would be worse every time.
    connection.execute("set local enable_hashjoin = off; set local enable_mergejoin = off")
    groups = rows.partitions.groups(part["occurred_at"].tolist())
    for bounds in groups if claimed else ():
        _judge(connection, "settle_own", bounds, outcome, set())
    for foreign in (False, True):
        if foreign and not claimed:
            break
        if foreign:
            for bounds in rows.partitions.groups(claimed):
                _judge(connection, "settle_claimed", bounds, outcome, set())
        for bounds in groups:
            found = connection.execute(statement("insert_staged"), {**_bounds(bounds), "foreign": foreign})
            outcome.stored.extend(positions[row] for row in found)
    stored = set(outcome.stored)
    for bounds in groups:
        _judge(connection, "settle_staged", bounds, outcome, stored)


def _judge(
    connection: Connection, name: str, bounds: tuple[object, object], outcome: Outcome, stored: set[int]
) -> None:
    for position, verdict in connection.execute(statement(name), _bounds(bounds)):
        if position in stored:
            continue
        if verdict == "present":
            outcome.present.append(position)
        elif verdict == "duplicate":
            outcome.duplicates.append(position)
        else:
            outcome.refused.append(RejectedRecord(position, RejectionCode.EVENT_ID_CONFLICT, _CONFLICT))


_CONFLICT = "$.eventId: an event with this id is stored already, with another type, payload or timestamp"


def _bounds(bounds: tuple[object, object]) -> dict[str, object]:
    return {"low": bounds[0] or "-infinity", "high": bounds[1]}


def _by_coordinate(chunk: Chunk, part: pd.DataFrame) -> dict[tuple[object, ...], int]:
    topic_partitions = [r.topic_partition for r in chunk.ranges]
    return {
        (topic_partitions[source].topic_id, topic_partitions[source].partition, offset): position
        for source, offset, position in zip(
            part["source"].tolist(), part["kafka_offset"].tolist(), part["position"].tolist(), strict=True
        )
    }


def is_refusal(error: psycopg.Error) -> bool:
    """Whether PostgreSQL refused a row as such, so that the rows beside it may still be stored.

    Raises:
        PartitionMissing: for a row without a partition, which has the SQLSTATE of a check violation.
    """
    state = error.sqlstate or ""
    if state == "23514" and not error.diag.constraint_name:
        raise PartitionMissing from None
    return state.startswith(_REFUSING_CLASSES) or state in _REFUSING_STATES


def _refusal(error: psycopg.Error) -> str:
    constraint = error.diag.constraint_name
    # PostgreSQL's message may quote the value; the state and the constraint say enough.
    return f"PostgreSQL refused it: {type(error).__name__}, SQLSTATE {error.sqlstate}" + (
        f", constraint {constraint}" if constraint else ""
    )


_CANARY = """
insert into raw.events (
    event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition, kafka_offset
)
values (gen_random_uuid(), now(), 'login', 'canary', '{}', gen_random_uuid(), 0, 0)
"""


def _prove_that_rows_can_be_stored(connection: Connection) -> None:
    try:
        with connection.transaction() as attempt:
            connection.execute(_CANARY)
            raise psycopg.Rollback(attempt)
    except psycopg.Error as error:
        raise NothingStorable(_refusal(error)) from None
