"""Dead letters: records that are no valid events, written down byte for byte.

What belongs here: turning a Kafka record into a row that fits, whatever it holds. What does not: why it was refused.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from millrace.assets.ingest.model import Chunk, Refused
from millrace.assets.ingest.sql import statement
from millrace.resources.postgres import Connection

_COPY = (
    "copy staged_letters (topic, topic_id, partition, kafka_offset, key, value, header_names, header_values,"
    " kafka_timestamp, code, reason, run_id) from stdin (format binary)"
)
_TYPES = ("text", "uuid", "int4", "int8", "bytea", "bytea", "bytea[]", "bytea[]", "timestamptz", "text", "text", "text")


def store(connection: Connection, chunk: Chunk, refused: Sequence[Refused], run_id: str) -> None:
    """Write letters, in the order of their coordinates; one that is there already gets another attempt."""
    if not refused:
        return
    connection.execute(statement("staging"))
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for letter in refused:
            copy.write_row(_row(chunk, letter, run_id))
    connection.execute(statement("insert_letters"))


def resolve(connection: Connection, chunk: Chunk, positions: Sequence[int], run_id: str) -> None:
    """Mark the open letters of records that are stored, or known as duplicates, by now."""
    if not positions:
        return
    places = [chunk.ranges[chunk.sources[p]].place for p in positions]
    connection.execute(
        statement("resolve_letters"),
        {
            "topic_ids": [place.topic_id for place in places],
            "partitions": [place.partition for place in places],
            "offsets": [chunk.records[p].offset() for p in positions],
            "run_id": run_id,
        },
    )


def _row(chunk: Chunk, letter: Refused, run_id: str) -> tuple[Any, ...]:
    record = chunk.records[letter.position]
    r = chunk.ranges[chunk.sources[letter.position]]
    headers = _headers(record)
    return (
        r.topic,
        r.place.topic_id,
        r.place.partition,
        record.offset(),
        record.key(),
        record.value(),
        [name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name for name, _ in headers],
        [value.encode() if isinstance(value, str) else value for _, value in headers],
        _timestamp(record),
        letter.code.value,
        letter.reason,
        run_id,
    )


def _headers(record: Any) -> list[tuple[str | bytes, str | bytes | None]]:
    try:
        return record.headers() or []
    except Exception as error:  # noqa: BLE001 - whatever a client wrote there must not stop the batch
        # The Kafka client hands header names out as text and refuses those that are none, with everything beside them.
        return [(b"(unreadable)", type(error).__name__)]


def _timestamp(record: Any) -> datetime | None:
    kind, millis = record.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        return None
    try:
        return datetime.fromtimestamp(millis / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # a client may claim any 64-bit time
