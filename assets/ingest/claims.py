"""Event ids in Redis: what a claim is made of, how claims are packed, and the calls that make and read them.

What belongs here: bytes and calls. What does not: what a found claim means for a record (`dedup`).

A claim is the coordinate of the record that first showed an id, when it says it occurred, and a digest of its bytes
and its coordinate. The digest is keyed: who can write to Redis has not the key, which PostgreSQL holds, so he can
neither make up the claim of a record nor move a true one to an offset that is committed.

Ids are fields of a few hashes. An id is claimed in a hash of the period that runs, and looked up there and in the one
before, so it is known until the period after its own is over; a period is as long as the dedup window and a little.
Each period has a hash for each shard of the ids: Redis, when it is full, evicts the oldest period shard by shard.
"""

import hashlib
import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np

from assets.ingest.model import Decoded
from assets.ingest.plan import TopicIdPartition

Array = np.ndarray[Any, Any]

_IDS_AT_ONCE = 20_000
_SHARDS = 16
# A database with more keys than these holds claims of the releases that gave each id a key of its own.
_HASHES = 4 * _SHARDS
_PREFIX = b"mr:"
# A worker may be slow between its call and Redis' clock, so a period is longer than the window by this.
_SPARE_MS = 60_000
_DIGEST_SIZE = 8
_TOPIC_PARTITION = struct.Struct(">16si")
_OFFSET_AND_TIME = struct.Struct(">qq")
_CLAIM = struct.Struct(">16siqq8s")
_ID_SIZE = 16
SIZE = _CLAIM.size
PLACE = _TOPIC_PARTITION.size + 8
"""The bytes of a claim by which it begins: the coordinate."""


class Claim(NamedTuple):
    """Who showed an id first."""

    topic_partition: TopicIdPartition
    offset: int
    occurred_at: int
    digest: bytes


def unpack(packed: bytes) -> Claim:
    """A claim as Redis holds it."""
    topic_id, partition, offset, occurred_at, digest = _CLAIM.unpack(packed)
    return Claim(TopicIdPartition(UUID(bytes=topic_id), partition), offset, occurred_at, digest)


def place_of(packed: bytes) -> bytes:
    """The coordinate that a claim names, packed."""
    return packed[:PLACE]


def pack(decoded: Decoded, key: bytes) -> bytes:
    """The claims of a chunk's events, one after the other."""
    chunk = decoded.chunk
    places = [
        _TOPIC_PARTITION.pack(r.topic_partition.topic_id.bytes, r.topic_partition.partition) for r in chunk.ranges
    ]
    records, sources, offsets, pack_both = chunk.records, chunk.sources, chunk.offsets, _OFFSET_AND_TIME.pack
    parts: list[bytes] = []
    for i, event in decoded.accepted:  # once through the records: memory is slower than Python here
        place, offset_and_time = places[sources[i]], pack_both(offsets[i], event.occurred_at)
        parts += (place, offset_and_time, _digest(key, records[i].value() or b"", place, offset_and_time[:8]))
    return b"".join(parts)


def as_if_there(key: bytes, value: bytes, mine: bytes, found: bytes) -> Claim:
    """The record's own claim, with the digest that its bytes have at the coordinate that `found` names."""
    size = _TOPIC_PARTITION.size
    return unpack(mine)._replace(digest=_digest(key, value, found[:size], found[size : size + 8]))


def _digest(key: bytes, value: bytes, place: bytes, offset: bytes) -> bytes:
    """Of a record's bytes at its place (topic id, partition) and offset, each as it is packed.

    The coordinate goes into BLAKE2b's own parameters, which costs nothing and copies no value.
    """
    return hashlib.blake2b(
        value, digest_size=_DIGEST_SIZE, key=key, salt=place[:16], person=place[16:] + offset
    ).digest()


def ask(client: Any, ids: Sequence[bytes], claims: bytes, window_ms: int) -> dict[int, bytes]:
    """Claims that were there before, by index into `ids`; the other ids are claimed now, unless `claims` is empty.

    Reading and claiming are two steps, for a script that does both at once costs Redis half as much again. Who claims
    the same id between the two is not noticed: both records are taken for new, and PostgreSQL decides between them.
    Whoever asks again after an error finds his own claims.
    """
    found: dict[int, bytes] = {}
    for first in range(0, len(ids), _IDS_AT_ONCE):
        some, theirs = ids[first : first + _IDS_AT_ONCE], claims[first * SIZE : (first + _IDS_AT_ONCE) * SIZE]
        found.update((first + i, claim) for i, claim in _ask(client, some, theirs, window_ms).items())
    return found


def _ask(client: Any, ids: Sequence[bytes], claims: bytes, window_ms: int) -> dict[int, bytes]:
    time, keys = client.pipeline(transaction=False).time().dbsize().execute()
    period = Period(window_ms, time)
    packed = np.frombuffer(b"".join(ids), dtype=f"V{_ID_SIZE}")
    groups = _by_shard(packed)
    found = _read(client, _arguments(packed), groups, period)
    if keys > _HASHES:
        found = _read_old_layout(client, ids) | found
    if claims:
        found |= _repeated(ids, claims, found)
        pairs = _arguments(packed, np.frombuffer(claims, dtype=f"V{SIZE}"))
        _write(client, pairs, groups, found, period)
    return found


def _by_shard(ids: Array) -> list[Array]:
    """The indexes of the ids of each shard, in their order."""
    shards = np.bitwise_xor.reduce(ids.view(np.uint8).reshape(len(ids), -1), axis=1) % _SHARDS
    ends = np.cumsum(np.bincount(shards, minlength=_SHARDS))
    return np.split(np.argsort(shards, kind="stable"), ends[:-1])


def _read(client: Any, arguments: Array, groups: Sequence[Array], period: "Period") -> dict[int, bytes]:
    asked = [(shard, ago) for shard, group in enumerate(groups) for ago in (1, 0) if len(group)]
    commands = [_command(b"HMGET", period.key(shard, ago), arguments[groups[shard]], 1) for shard, ago in asked]
    return {
        i: claim  # found in both after a race: that of the later period
        for (shard, _), answer in zip(asked, _exchange(client, commands), strict=True)
        if any(answer)
        for i, claim in zip(groups[shard].tolist(), answer, strict=True)
        if claim is not None
    }


def _read_old_layout(client: Any, ids: Sequence[bytes]) -> dict[int, bytes]:
    answer = client.mget([_PREFIX + id_ for id_ in ids])
    return {i: claim for i, claim in enumerate(answer) if claim is not None}


def _repeated(ids: Sequence[bytes], claims: bytes, found: Mapping[int, bytes]) -> dict[int, bytes]:
    """Ids that occur again: they find the claim of the first."""
    first = dict(zip(reversed(ids), range(len(ids) - 1, -1, -1), strict=True))
    if len(first) == len(ids):
        return {}
    again = (i for i, id_ in enumerate(ids) if first[id_] != i and i not in found)
    return {i: claims[first[ids[i]] * SIZE : (first[ids[i]] + 1) * SIZE] for i in again}


def _write(client: Any, pairs: Array, groups: Sequence[Array], found: Collection[int], period: "Period") -> None:
    fresh = np.ones(len(pairs), dtype=bool)
    fresh[list(found)] = False
    commands: list[bytes] = []
    for shard, group in enumerate(groups):
        new = group[fresh[group]]
        if len(new):
            commands += [_command(b"HSET", period.key(shard), pairs[new], 2), period.expire(shard)]
    _exchange(client, [*commands, period.forget()])


def _arguments(*columns: Array) -> Array:
    """Columns as arguments of a command in Redis' protocol, row by row, each with its length before it."""
    fields: list[tuple[str, str]] = []
    for i, column in enumerate(columns):
        size = column.dtype.itemsize
        fields += [(f"before{i}", f"S{len(b'$%d__' % size)}"), (f"value{i}", f"V{size}"), (f"after{i}", "S2")]
    rows = np.empty(len(columns[0]), dtype=fields)
    for i, column in enumerate(columns):
        rows[f"before{i}"], rows[f"after{i}"] = b"$%d\r\n" % column.dtype.itemsize, b"\r\n"
        rows[f"value{i}"] = column
    return rows


def _command(name: bytes, key: bytes, arguments: Array, in_a_row: int) -> bytes:
    """A command in Redis' protocol, made from a whole array: single arguments cost the client four times as much."""
    head = b"*%d\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
    return head % (2 + in_a_row * len(arguments), len(name), name, len(key), key) + arguments.tobytes()


def _exchange(client: Any, commands: Sequence[bytes]) -> list[Any]:
    """Send all, then read all answers; a connection of which some are left unread is not used again."""
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command(commands)
        return [connection.read_response() for _ in commands]
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


class Period:
    """Which hashes an id may be in. Periods go by Redis' clock, so that all workers agree."""

    def __init__(self, window_ms: int, time: tuple[int, int]) -> None:
        self._length = window_ms + _SPARE_MS
        self._number = (time[0] * 1000 + time[1] // 1000) // self._length

    def key(self, shard: int, ago: int = 0) -> bytes:
        """Of the hash of this period, or of one before."""
        return b"%b%d:%d:%x" % (_PREFIX, self._length, self._number - ago, shard)

    def expire(self, shard: int) -> bytes:
        """The command by which a hash goes a little after its claims are not looked up any more."""
        at = b"%d" % ((self._number + 2) * self._length + _SPARE_MS)
        return _command(b"PEXPIREAT", self.key(shard), _arguments(np.frombuffer(at, dtype=f"V{len(at)}")), 1)

    def forget(self) -> bytes:
        """The command that drops what is not looked up any more: beside the server's work, as an expiry may not be."""
        gone = [self.key(shard, 2) for shard in range(_SHARDS)]
        rest = b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in gone)
        return b"*%d\r\n$6\r\nUNLINK\r\n" % (1 + len(gone)) + rest
