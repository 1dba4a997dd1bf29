"""What strangers send beside values: keys, tombstones, headers and times of records, and files for `millrace validate`.

What belongs here: what is made of several values of the fuzzer, and what must hold for it. What does not: the values,
and the run (`fuzz`).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from random import Random
from typing import Any
from uuid import UUID

from assets.ingest import dead_letters, frame
from assets.ingest.model import Chunk, Decoded, Deduplicated, anchor_of
from assets.ingest.plan import OffsetRange, TopicIdPartition
from orchestration.cli import dead_letter_view, validate
from producer import event_file
from tests.contract.making import DECODER, NOW_US

_PLACE = TopicIdPartition(UUID(int=7), 0)
_TIMES = ((0, -1), (1, 0), (1, 2**63 - 1), (2, -(2**62)), (1, 253_402_300_800_000), (1, NOW_US // 1000))


class Headed:
    """A record of which only the headers are asked; a broken one raises first, as the Kafka client's does."""

    def __init__(self, pairs: list[Any] | None, *, broken: bool = False) -> None:
        self._pairs, self._broken = pairs, broken

    def headers(self) -> list[Any] | None:
        """Its headers; from the second call on where it is broken."""
        if self._broken:
            self._broken = False
            raise SystemError
        return self._pairs


class Made(Headed):
    """A record that somebody may have sent, of values that were made up."""

    def __init__(self, offset: int, pieces: Sequence[bytes], rng: Random) -> None:
        super().__init__([(rng.choice(("h", "\x00")), rng.choice((None, rng.choice(pieces))))])
        self._offset = offset
        self._key = rng.choice((None, b"", rng.choice(pieces), rng.randbytes(40), b"k" * 100_000))
        self._value = rng.choice((None, b"", *pieces))
        self._timestamp = rng.choice(_TIMES)

    def offset(self) -> int:
        """Its place in the chunk."""
        return self._offset

    def key(self) -> bytes | None:
        """Anything, or nothing."""
        return self._key

    def value(self) -> bytes | None:
        """Anything; nothing is a tombstone."""
        return self._value

    def timestamp(self) -> tuple[int, int]:
        """Any kind, any time."""
        return self._timestamp


def fault_of_records(pieces: list[bytes], rng: Random) -> str | None:
    """What is wrong with how records are decided, made rows and dead letters, and shown."""
    records = [Made(offset, pieces, rng) for offset in range(6)]
    sent = repr([(record.key(), record.value(), record.timestamp()) for record in records])[:5_000]
    chunk = Chunk((OffsetRange("t", _PLACE, 0, 6),), records, [0] * 6)
    try:
        decoded = frame.decode(DECODER, chunk)
        rows = [dead_letters._row(chunk, each, "r") for each in decoded.refused]  # pyright: ignore[reportPrivateUsage]
        shown = [dead_letter_view._shown(row[place], full=True) for row in rows for place in (4, 5)]  # pyright: ignore[reportPrivateUsage]
        copied = _copied(decoded)
        anchors = [anchor_of(record) for record in records]
    except BaseException as error:  # noqa: BLE001 - whatever it raises is a fault
        return f"records {sent} raised {type(error).__name__}"
    if _positions(decoded) != list(range(6)) or any(records[n].value() is not None for n in decoded.tombstones):
        return f"not every record is decided once, or a tombstone is none: {sent}"
    if not all(map(str.isprintable, shown)) or len(anchors) != 6:
        return f"a key or a value is shown with what does not print: {sent}"
    if any((row[4], row[5]) != (records[row[3]].key(), records[row[3]].value()) for row in rows):
        return f"a dead letter is not what was sent: {sent}"
    return None if copied.endswith(b"\xff\xff") else f"the events make no COPY: {sent}"


def _positions(decoded: Decoded) -> list[int]:
    decided = [each.position for each in (*decoded.accepted, *decoded.refused)]
    return sorted((*decided, *decoded.tombstones))


def _copied(decoded: Decoded) -> bytes:
    made = frame.build(decoded, Deduplicated(decoded.accepted, [], {}, degraded=False))
    head, place = frame.place_bytes(_PLACE.topic_id.bytes, _PLACE.partition, staged=False)
    return b"".join(frame.copy_blocks(made, {0: place, -1: head}, staged=False))


def fault_of_file(pieces: list[bytes], rng: Random) -> str | None:
    """What is wrong with how `millrace validate` splits a file of values, and with what it says of them."""
    joined = rng.choice((b"\n", b",\n", b",", b"\r\n")).join(pieces)
    file = rng.choice((joined, b"[" + joined + b"]", joined + b"\n"))
    try:
        found = event_file.values(file)
        lines = [each.line for each in found]
        decided = list(event_file.decided(found, DECODER, NOW_US))
        said: list[str] = [*validate.complaints(BytesIO(), decided), validate.counted(decided)]
        told: Mapping[str, Any] = json.loads(json.dumps(validate.summary(decided)))
    except BaseException as error:  # noqa: BLE001 - as above
        return f"validating it raised {type(error).__name__}: {file!r}"
    if lines != sorted(lines) or any(not each.data or each.data not in file for each in found):
        return f"its values are not pieces of it in their order: {file!r}"
    if not all(map(str.isprintable, said)) or len(said) != told["events"] - told["valid"] + 1:
        return f"what is said of it is not a line for each: {file!r}"
    if file.strip(b" \t\r\n") and not found and not re.fullmatch(rb"\[[ \t\r\n]*\]", file.strip(b" \t\r\n")):
        return f"nothing of it is decided: {file!r}"
    return None


def fault_of_headers(_: list[bytes], rng: Random) -> str | None:
    """What is wrong with how headers are made fit for a dead letter's columns."""
    texts = ("", "x", "\x00", "\u202e\r\n", "\udcff", "x" * 10_000)
    names = [rng.choice(texts) if rng.random() < 0.5 else rng.randbytes(rng.randint(0, 20)) for _ in range(5)]
    pairs = [(name, rng.choice((None, "", "text", rng.randbytes(30)))) for name in names]
    record = Headed(rng.choice((None, [], pairs)), broken=rng.random() < 0.2)
    try:
        found: Any = dead_letters.header_columns(record)
    except BaseException as error:  # noqa: BLE001 - as above
        return f"headers {pairs!r} raised {type(error).__name__}"
    names_fit = all(isinstance(name, bytes) for name in found[0])
    values_fit = all(value is None or isinstance(value, bytes) for value in found[1])
    return None if names_fit and values_fit and len(found[0]) == len(found[1]) else f"headers {pairs!r} do not fit"


CHECKS: tuple[Callable[[list[bytes], Random], str | None], ...] = (fault_of_file, fault_of_headers, fault_of_records)
