"""Damage to a partition's log on the disk, kind by kind, as disks, producers and operators make it.

What belongs here: finding a batch in a segment and overwriting some of it, with a checksum that fits where the damage
is not one of the disk's. What does not: what is expected then.
"""

import struct
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from tests.support.world import World

# A batch of format 2: base offset, length of what follows, leader epoch, magic, CRC, and then what is summed up.
_LENGTH, _MAGIC, _CRC, _ATTRIBUTES, _RECORDS = 8, 16, 17, 21, 61
_GZIP, _UNKNOWN_CODEC = 1, 7


def segment(world: World, partition: int) -> Path:
    """The only segment of a partition."""
    [found] = world.services.directory.glob(f"**/{world.topic}-{partition}/00000000000000000000.log")
    return found


def damage(world: World, partition: int, kind: str, offset: int) -> None:
    """Damage the batch that begins at an offset."""
    file = segment(world, partition)
    log = bytearray(file.read_bytes())
    start = _start(log, offset)
    end = start + 12 + _number(log, start + _LENGTH)
    batch = DAMAGES[kind](log[start:end])
    with file.open("r+b") as writing:
        writing.seek(start)
        writing.write(batch)
        if len(batch) < end - start:
            writing.truncate()


def _start(log: bytearray, offset: int) -> int:
    at = 0
    while _number(log, at, 8) != offset:
        at += 12 + _number(log, at + _LENGTH)
    return at


def _number(log: bytearray, at: int, size: int = 4) -> int:
    return int.from_bytes(log[at : at + size], "big")


def _checksum(batch: bytearray) -> bytearray:
    """The same with the checksum that belongs to it."""
    struct.pack_into(">I", batch, _CRC, _crc32c(bytes(batch[_ATTRIBUTES:])))
    return batch


def _bytes_of_a_record(batch: bytearray) -> bytearray:
    batch[-20:-16] = b"\xff\xff\xff\xff"
    return batch


def _magic(batch: bytearray) -> bytearray:
    batch[_MAGIC] = 7
    return batch


def _codec(number: int) -> Callable[[bytearray], bytearray]:
    def change(batch: bytearray) -> bytearray:
        batch[_ATTRIBUTES + 1] = (batch[_ATTRIBUTES + 1] & ~7) | number
        return _checksum(batch)

    return change


def _record_longer_than_the_batch(batch: bytearray) -> bytearray:
    batch[_RECORDS : _RECORDS + 3] = b"\xfe\xff\x7f"  # a varint above a million
    return _checksum(batch)


def _length(batch: bytearray) -> bytearray:
    struct.pack_into(">I", batch, _LENGTH, 1 << 20)
    return batch


def _cut(batch: bytearray) -> bytearray:
    return batch[: len(batch) // 2]


DAMAGES: Mapping[str, Callable[[bytearray], bytearray]] = MappingProxyType(
    {
        "bytes of a record": _bytes_of_a_record,
        "a format that nobody knows": _magic,
        "a codec that nobody knows": _codec(_UNKNOWN_CODEC),
        "a codec that it is not": _codec(_GZIP),
        "a record longer than the batch": _record_longer_than_the_batch,
        "a length beyond the end": _length,
        "cut short": _cut,
    }
)


@cache
def _table() -> list[int]:
    found: list[int] = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        found.append(value)
    return found


def _crc32c(data: bytes) -> int:
    crc, table = 0xFFFFFFFF, _table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF
