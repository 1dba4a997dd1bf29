"""The data of a chunk on its way: records become events, a DataFrame sorted by key, and PostgreSQL's binary COPY.

What belongs here: the loop over records, columns, order, counts, bytes. What does not: what makes a valid event
(`contract.decoder`), duplicates (`dedup`), the transaction (`store`).
COPY's binary format: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS-BINARY-FORMAT
"""

import struct
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from assets.ingest.model import Accepted, Chunk, Decoded, Deduplicated, RejectedRecord
from contract.decoder import Decoder, Event

COPY_COLUMNS = (
    "event_id, occurred_at, type, user_id, payload, source_event_id, kafka_topic_id, kafka_partition, kafka_offset"
)
STAGED_COLUMNS = COPY_COLUMNS + ", position, claimed_at"

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_TRAILER = struct.pack(">h", -1)
_NULL = struct.pack(">i", -1)
_BLOCK_ROWS = 1_000
_MICROS_1970_TO_2000 = 946_684_800 * 1_000_000
_MINUTE = 60 * 1_000_000


def decode(decoder: Decoder, chunk: Chunk) -> Decoded:
    """Decode every record of a chunk. Never raises, whatever the bytes."""
    began = time.monotonic()
    now = time.time_ns() // 1000
    accepted: list[Accepted] = []
    refused: list[RejectedRecord] = []
    tombstones: list[int] = []
    decode_value = decoder.decode
    for position, record in enumerate(chunk.records):
        value = record.value()
        if value is None:
            tombstones.append(position)
            continue
        found = decode_value(value, now)
        if isinstance(found, Event):
            accepted.append(Accepted(position, found))
        else:
            refused.append(RejectedRecord(position, found.code, found.reason))
    return Decoded(chunk, accepted, refused, tombstones, decode_seconds=time.monotonic() - began)


def build(decoded: Decoded, claimed: Deduplicated) -> pd.DataFrame:
    """One row an event that is to be stored, in the order of the primary key, earlier records first among equals.

    Columns: position (of the record in the chunk), event_id (16 bytes), occurred_at (int64, microseconds since 1970,
    UTC), type, user_id, payload (bytes of JSON), source_event_id, source (position in chunk.ranges), kafka_offset,
    claimed_at (microseconds since 1970 of an undecided claim, else None). Text columns are of dtype object: to build
    them is half the price of Arrow-backed ones, and COPY wants Python objects again.
    """
    chunk = decoded.chunk
    positions = [row.position for row in claimed.rows]
    events = [row.event for row in claimed.rows]
    columns: dict[str, Any] = {
        "position": np.array(positions, dtype=np.int64),
        "event_id": _objects([e.event_id for e in events]),
        "occurred_at": np.array([e.occurred_at for e in events], dtype=np.int64),
        "type": _objects([e.type for e in events]),
        "user_id": _objects([e.user_id for e in events]),
        "payload": _objects([e.payload for e in events]),
        "source_event_id": _objects([e.source_event_id for e in events]),
        "source": np.array([chunk.sources[p] for p in positions], dtype=np.int64),
        "kafka_offset": np.array([chunk.records[p].offset() for p in positions], dtype=np.int64),
        "claimed_at": _objects([claimed.undecided.get(p) for p in positions]),
    }
    return pd.DataFrame(columns, copy=False).iloc[_key_order(columns)]


def counts_by_minute(frame: pd.DataFrame) -> dict[tuple[int, str], int]:
    """Events by (start of the minute in microseconds since 1970, type), in that order."""
    minutes = frame["occurred_at"] // _MINUTE * _MINUTE
    sizes = frame.groupby([minutes, "type"], sort=True).size()
    return {cast("tuple[int, str]", key): int(n) for key, n in sizes.items()}


def copy_blocks(frame: pd.DataFrame, topic_partitions: Mapping[int, bytes], *, staged: bool) -> Iterator[bytes]:
    """The frame as binary COPY data, in blocks, for COPY_COLUMNS or STAGED_COLUMNS.

    Args:
        frame: from `build`.
        topic_partitions: for each source its topic id and partition as `place_bytes` gives them.
        staged: with position and claimed_at.
    """
    yield _HEADER
    rows = _rows(frame, topic_partitions)
    if staged:
        rows = [row + more for row, more in zip(rows, _more(frame), strict=True)]
    for first in range(0, len(rows), _BLOCK_ROWS):
        yield b"".join(rows[first : first + _BLOCK_ROWS])
    yield _TRAILER


def place_bytes(topic_id: bytes, partition: int, *, staged: bool) -> tuple[bytes, bytes]:
    """The head of a row (the number of its fields) and the fields of a topic-partition, as COPY wants them."""
    return struct.pack(">h", 11 if staged else 9), struct.pack(">i16sii", 16, topic_id, 4, partition)


_ID_AND_TIME = struct.Struct(">i16siq")
_INT4 = struct.Struct(">i")
_INT8_FIELD = struct.Struct(">iq")


def _rows(part: pd.DataFrame, topic_partitions: Mapping[int, bytes]) -> list[bytes]:
    id_and_time, int4, int8 = _ID_AND_TIME.pack, _INT4.pack, _INT8_FIELD.pack
    types = {name: _text(name) for name in part["type"].unique()}
    head = topic_partitions[-1]
    return [
        b"".join(
            (
                head,
                id_and_time(16, event_id, 8, occurred_at - _MICROS_1970_TO_2000),
                types[kind],
                int4(len(user := user_id.encode())),
                user,
                int4(len(payload) + 1),
                b"\x01",  # the version of jsonb's binary format
                payload,
                _NULL if source_event_id is None else _text(source_event_id),
                topic_partitions[source],
                int8(8, offset),
            )
        )
        for event_id, occurred_at, kind, user_id, payload, source_event_id, source, offset in zip(
            part["event_id"].tolist(),
            part["occurred_at"].tolist(),
            part["type"].tolist(),
            part["user_id"].tolist(),
            part["payload"].tolist(),
            part["source_event_id"].tolist(),
            part["source"].tolist(),
            part["kafka_offset"].tolist(),
            strict=True,
        )
    ]


def _more(part: pd.DataFrame) -> Iterator[bytes]:
    for position, claimed_at in zip(part["position"].tolist(), part["claimed_at"].tolist(), strict=True):
        owner = _NULL if claimed_at is None else _INT8_FIELD.pack(8, claimed_at - _MICROS_1970_TO_2000)
        yield struct.pack(">ii", 4, position) + owner


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _INT4.pack(len(encoded)) + encoded


def _objects(values: list[Any]) -> "pd.Series[Any]":
    made = np.empty(len(values), dtype=object)
    made[:] = values
    # Said once more, or pandas takes texts for its own type of text, in which a missing one is a NaN.
    return pd.Series(made, dtype=object)


def _key_order(columns: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    ids = np.frombuffer(b"".join(columns["event_id"].tolist()), dtype=">u8").reshape(-1, 2)
    return np.lexsort((columns["position"], ids[:, 1], ids[:, 0], columns["occurred_at"]))
