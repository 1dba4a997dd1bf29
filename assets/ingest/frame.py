"""The data of a chunk on its way: records become events, a DataFrame sorted by key, and PostgreSQL's binary COPY.

What belongs here: the loop over records, columns, order, counts, bytes. What does not: what makes a valid event
(`contract.decoder`), duplicates (`dedup`), the transaction (`store`).
COPY's binary format: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS-BINARY-FORMAT
"""

import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, cast

import numpy as np
import pandas as pd
from msgspec.structs import astuple

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
    chunk, positions = decoded.chunk, [row.position for row in claimed.rows]
    # Once through the events: they are spread over the memory, which is slower than Python here.
    events = [astuple(row.event) for row in claimed.rows]
    order = _key_order(events)
    ordered = [events[i] for i in order]
    ids, source_ids, types, times, users, payloads = zip(*ordered, strict=True) if ordered else [()] * 6
    positions = [positions[i] for i in order]
    columns: dict[str, Any] = {
        "position": np.array(positions, dtype=np.int64),
        "event_id": _objects(ids),
        "occurred_at": np.array(times, dtype=np.int64),
        "type": _objects(types),
        "user_id": _objects(users),
        "payload": _objects(payloads),
        "source_event_id": _objects(source_ids),
        "source": np.array([chunk.sources[p] for p in positions], dtype=np.int64),
        "kafka_offset": np.array([chunk.offsets[p] for p in positions], dtype=np.int64),
        "claimed_at": _objects([claimed.undecided.get(p) for p in positions]),
    }
    return pd.DataFrame(columns, copy=False)


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
        rows = (row + more for row, more in zip(rows, _more(frame), strict=True))
    while block := b"".join(chain.from_iterable(islice(rows, _BLOCK_ROWS))):
        yield block
    yield _TRAILER


def place_bytes(topic_id: bytes, partition: int, *, staged: bool) -> tuple[bytes, bytes]:
    """The head of a row (the number of its fields) and the fields of a topic-partition, as COPY wants them."""
    return struct.pack(">h", 11 if staged else 9), struct.pack(">i16sii", 16, topic_id, 4, partition)


_KEY = np.dtype([("fields", ">i2"), ("id_size", ">i4"), ("id", "V16"), ("time_size", ">i4"), ("time", ">i8")])
_OFFSET = np.dtype([("size", ">i4"), ("offset", ">i8")])
_INT4 = struct.Struct(">i")
_INT8_FIELD = struct.Struct(">iq")
_JSONB = struct.Struct(">ib")  # the size, and the version of jsonb's binary format


def _rows(part: pd.DataFrame, topic_partitions: Mapping[int, bytes]) -> Iterator[tuple[bytes, ...]]:
    """Each row in parts. What has the same size in every row is made for all rows at once."""
    int4, jsonb = _INT4.pack, _JSONB.pack
    types = {name: _text(name) for name in part["type"].unique()}
    keys, offsets = _keys(part, topic_partitions[-1]), _offsets(part)
    for key, kind, user_id, payload, source_event_id, source, offset in zip(
        keys,
        part["type"].tolist(),
        part["user_id"].tolist(),
        part["payload"].tolist(),
        part["source_event_id"].tolist(),
        part["source"].tolist(),
        offsets,
        strict=True,
    ):
        user = user_id.encode()
        yield (
            key,
            types[kind],
            int4(len(user)),
            user,
            jsonb(len(payload) + 1, 1),
            payload,
            _NULL if source_event_id is None else _text(source_event_id),
            topic_partitions[source],
            offset,
        )


def _keys(part: pd.DataFrame, head: bytes) -> list[bytes]:
    """The number of fields, the id and the time of each row."""
    keys = np.empty(len(part), dtype=_KEY)
    [keys["fields"]] = struct.unpack(">h", head)
    keys["id_size"], keys["time_size"] = 16, 8
    keys["id"] = np.frombuffer(b"".join(part["event_id"].tolist()), dtype="V16")
    keys["time"] = part["occurred_at"].to_numpy() - _MICROS_1970_TO_2000
    return _cut(keys)


def _offsets(part: pd.DataFrame) -> list[bytes]:
    offsets = np.empty(len(part), dtype=_OFFSET)
    offsets["size"], offsets["offset"] = 8, part["kafka_offset"].to_numpy()
    return _cut(offsets)


def _cut(packed: "np.ndarray[Any, Any]") -> list[bytes]:
    """The bytes of each element."""
    size, data = packed.dtype.itemsize, packed.tobytes()
    return [data[at : at + size] for at in range(0, len(data), size)]


def _more(part: pd.DataFrame) -> Iterator[tuple[bytes, ...]]:
    for position, claimed_at in zip(part["position"].tolist(), part["claimed_at"].tolist(), strict=True):
        owner = _NULL if claimed_at is None else _INT8_FIELD.pack(8, claimed_at - _MICROS_1970_TO_2000)
        yield struct.pack(">ii", 4, position), owner


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _INT4.pack(len(encoded)) + encoded


def _objects(values: Sequence[Any]) -> "pd.Series[Any]":
    made = np.empty(len(values), dtype=object)
    made[:] = values
    # Said once more, or pandas takes texts for its own type of text, in which a missing one is a NaN.
    return pd.Series(made, dtype=object)


def _key_order(events: Sequence[tuple[Any, ...]]) -> list[int]:
    """Indexes of events, as tuples of their fields, in the order of the key; among equals those that came first."""
    ids = np.frombuffer(b"".join([event[0] for event in events]), dtype=">u8").reshape(-1, 2)
    times = np.array([event[3] for event in events], dtype=np.int64)
    return np.lexsort((ids[:, 1], ids[:, 0], times)).tolist()
