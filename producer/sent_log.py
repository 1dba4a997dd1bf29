"""The ledger: a line for every message of which Kafka said what became of it.

What belongs here: the format of the file. What does not: the totals (`tally`).
"""

from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec


class SentEntry(msgspec.Struct, frozen=True, gc=False, rename={"event_id": "eventId", "kind": "class"}):
    """One line: what was sent, and where it is if it was acknowledged.

    Without an acknowledgement the message may or may not be in Kafka, and partition and offset say nothing.
    """

    event_id: str
    kind: str
    type: str
    key: str
    partition: int | None
    offset: int | None
    acknowledged: bool


class Receipts(Protocol):
    """Takes the entries as Kafka's reports come in."""

    def write(self, entry: SentEntry) -> None:
        """Take one."""
        ...


class SentLog:
    """Writes entries as JSON lines. What was written reaches the file at every `flush` and at `close`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("wb", buffering=1 << 18)
        self._encode = msgspec.json.Encoder().encode

    def write(self, entry: SentEntry) -> None:
        """Add a line."""
        self._file.write(self._encode(entry) + b"\n")

    def flush(self) -> None:
        """Hand what was written to the operating system, so that killing the process does not lose it."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def read(path: Path) -> list[SentEntry]:
    """All entries of a ledger; a last line that was cut off by a kill is left out."""
    whole = path.read_bytes().split(b"\n")[:-1]
    decode = msgspec.json.Decoder(SentEntry).decode
    return [decode(line) for line in whole]
