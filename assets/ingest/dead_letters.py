"""Dead letters: records that are no valid events, written down byte for byte.

What belongs here: turning a Kafka record into a row that fits, whatever it holds. What does not: why it was refused.
"""

import ctypes
import operator
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from assets.ingest.model import Chunk, Record, RejectedRecord
from assets.ingest.sql import statement
from resources.postgres import Connection

_COPY = (
    "copy staged_dead_letters (topic, topic_id, partition, kafka_offset, key, value, header_names, header_values,"
    " kafka_timestamp, code, reason, run_id) from stdin (format binary)"
)
_UNREADABLE = b"(not UTF-8)"
# CPython's own view of a place in a tuple; None where there is nothing, which no tuple made in Python can have.
_holds = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_ssize_t)(("PyTuple_GetItem", ctypes.pythonapi))
# Not `record.headers()`: CPython inlines a method call that is hot and then leaves a pending error to whoever is next.
_read_headers = operator.methodcaller("headers")
_TYPES = ("text", "uuid", "int4", "int8", "bytea", "bytea", "bytea[]", "bytea[]", "timestamptz", "text", "text", "text")


class WithHeaders(Protocol):
    """What is asked of a record here."""

    def headers(self) -> Any:
        """Names and values of the headers."""
        ...


def store(connection: Connection, chunk: Chunk, refused: Sequence[RejectedRecord], run_id: str) -> dict[str, int]:
    """Write dead letters, in the order of their coordinates; one that is there already gets another attempt.

    Returns:
        How many were not there, by code.
    """
    if not refused:
        return {}
    connection.execute(statement("staging"))
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for dead_letter in refused:
            copy.write_row(_row(chunk, dead_letter, run_id))
    return dict(connection.execute(statement("insert_dead_letters")).fetchall())


def resolve(connection: Connection, chunk: Chunk, positions: Sequence[int], run_id: str) -> None:
    """Mark the open dead letters of records that are stored, or known as duplicates, by now."""
    if not positions:
        return
    topic_partitions = [chunk.ranges[chunk.sources[p]].topic_partition for p in positions]
    connection.execute(
        statement("resolve_dead_letters"),
        {
            "topic_ids": [topic_partition.topic_id for topic_partition in topic_partitions],
            "partitions": [topic_partition.partition for topic_partition in topic_partitions],
            "offsets": [chunk.records[p].offset() for p in positions],
            "run_id": run_id,
        },
    )


def remove(connection: Connection, chunk: Chunk, positions: Sequence[int]) -> None:
    """Delete the dead letters of records."""
    if not positions:
        return
    topic_partitions = [chunk.ranges[chunk.sources[p]].topic_partition for p in positions]
    connection.execute(
        statement("remove_dead_letters"),
        {
            "topic_ids": [topic_partition.topic_id for topic_partition in topic_partitions],
            "partitions": [topic_partition.partition for topic_partition in topic_partitions],
            "offsets": [chunk.records[p].offset() for p in positions],
        },
    )


def _row(chunk: Chunk, dead_letter: RejectedRecord, run_id: str) -> tuple[Any, ...]:
    record = chunk.records[dead_letter.position]
    r = chunk.ranges[chunk.sources[dead_letter.position]]
    header_names, header_values = header_columns(record)
    return (
        r.topic,
        r.topic_partition.topic_id,
        r.topic_partition.partition,
        record.offset(),
        record.key(),
        record.value(),
        header_names,
        header_values,
        _timestamp(record),
        dead_letter.code.value,
        dead_letter.reason,
        run_id,
    )


def header_columns(record: WithHeaders) -> tuple[list[bytes], list[bytes | None]]:
    """The names and the values of a record's headers, as the two columns of a dead letter have them."""
    headers = _headers(record)
    names = [name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name for name, _ in headers]
    return names, [value.encode() if isinstance(value, str) else value for _, value in headers]


def _headers(record: WithHeaders) -> list[tuple[str | bytes, str | bytes | None]]:
    """The record's headers. A name that is not UTF-8 comes as a placeholder; its bytes cannot be had from the client.

    For such a name confluent_kafka puts nothing at all into the pair: the first call raises SystemError, every later
    one hands the pair out, and to touch the empty place ends the process. So it is looked at before it is touched.
    """
    try:
        pairs = _read_headers(record)
    except SystemError:
        pairs = _read_headers(record)
    return [(pair[0] if _holds(pair, 0) else _UNREADABLE, pair[1]) for pair in pairs or []]


def _timestamp(record: Record) -> datetime | None:
    kind, millis = record.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        return None
    try:
        return datetime.fromtimestamp(millis / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # a client may claim any 64-bit time
