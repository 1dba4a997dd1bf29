"""Asks Redis which event ids were seen before. A claim is a hint that makes storing fast, never the truth.

What belongs here: packing claims, the Lua call, and the judgement of what was found. What does not: PostgreSQL's say
on what Redis leaves undecided (`store`).

A claim is the coordinate of the record that first showed an id, when it says it occurred, and a digest of its bytes
and its coordinate. The digest is keyed: who can write to Redis has not the key, which PostgreSQL holds, so he can
neither make up the claim of a record nor move a true one to an offset that is committed.
"""

import hashlib
import struct
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from typing import Any, NamedTuple
from uuid import UUID

from assets.ingest.model import Accepted, Chunk, Decoded, Deduplicated
from assets.ingest.plan import TopicIdPartition
from resources.redis import Redis, RedisUnavailable

# One script call blocks Redis for everybody: 2,000 ids take about 10 ms.
_IDS_PER_CALL = 2_000
_PREFIX = b"mr:"
_DIGEST_SIZE = 8
_TOPIC_PARTITION = struct.Struct(">16si")
_OFFSET_AND_TIME = struct.Struct(">qq")
_CLAIM = struct.Struct(">16siqq8s")
_SCRIPT = resources.files("assets.ingest").joinpath("claim.lua").read_bytes()
_SCRIPT_SHA = hashlib.sha1(_SCRIPT, usedforsecurity=False).hexdigest()  # Redis names scripts so


class Claim(NamedTuple):
    """Who showed an id first."""

    topic_partition: TopicIdPartition
    offset: int
    occurred_at: int
    digest: bytes


class ClaimVerdict(Enum):
    """What a claim says of a record with the same id."""

    OWN = "own"
    DUPLICATE = "duplicate"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class CommittedOffsets:
    """What is known to be committed: needed to trust a claim whose owner may never have been stored."""

    committed: Mapping[TopicIdPartition, int]
    gaps: Mapping[TopicIdPartition, Sequence[tuple[int, int]]]

    def holds(self, claim: Claim) -> bool:
        """Whether the record that claimed is committed and not lost."""
        if claim.offset >= self.committed.get(claim.topic_partition, 0):
            return False
        return not any(start <= claim.offset < end for start, end in self.gaps.get(claim.topic_partition, ()))


def judge_claim(
    mine: Claim, found: Claim, earlier: Collection[tuple[TopicIdPartition, int]], committed: CommittedOffsets
) -> ClaimVerdict:
    """What the claim found under an id means for the record `mine`.

    Args:
        mine: the record's own claim, with the digest that its bytes would have at the coordinate that `found` names.
        found: what Redis holds.
        earlier: coordinates of this chunk that come before the record and will be stored with it.
        committed: what is committed.
    """
    if (found.topic_partition, found.offset) == (mine.topic_partition, mine.offset):
        return ClaimVerdict.OWN  # a retry, or a replay, of the same record
    if found.digest == mine.digest and ((found.topic_partition, found.offset) in earlier or committed.holds(found)):
        return ClaimVerdict.DUPLICATE
    return ClaimVerdict.UNDECIDED


class RedisAnswer(NamedTuple):
    """What Redis answered: the claims that were made, and those that others held, by index; None without an answer."""

    claims: list[bytes]
    found: dict[int, bytes] | None
    seconds: float
    key: bytes


def claim_ids(redis: Redis, decoded: Decoded, window_ms: int, key: bytes) -> RedisAnswer:
    """Claim the ids of a chunk's events. May be done before the chunk before it is committed.

    Args:
        redis: down, hung or empty is fine.
        decoded: the chunk.
        window_ms: how long an id is remembered.
        key: of the digests, `ledger_queries.claim_key`.
    """
    began = time.monotonic()
    claims = _pack(decoded, key)
    found: dict[int, bytes] | None = {}
    if claims:
        try:
            found = redis.call(lambda client: _ask(client, decoded.accepted, claims, window_ms))
        except RedisUnavailable:
            found = None
    return RedisAnswer(claims, found, time.monotonic() - began, key)


def read_claims(redis: Redis, decoded: Decoded, key: bytes) -> RedisAnswer:
    """What is claimed of a chunk's ids, without claiming any.

    For records whose offsets are committed already: a claim of theirs would be believed before they are stored.
    """
    began = time.monotonic()
    ids = [_PREFIX + accepted.event.event_id for accepted in decoded.accepted]
    found: dict[int, bytes] | None = {}
    try:
        for first in range(0, len(ids), _IDS_PER_CALL):
            answer = redis.call(lambda client, some=ids[first : first + _IDS_PER_CALL]: client.mget(some))
            found.update((first + i, claim) for i, claim in enumerate(answer) if claim is not None)
    except RedisUnavailable:
        found = None
    return RedisAnswer(_pack(decoded, key), found, time.monotonic() - began, key)


def deduplicate(decoded: Decoded, answer: RedisAnswer, committed: Callable[[], CommittedOffsets]) -> Deduplicated:
    """Sort the events of a chunk by what Redis answered.

    Args:
        decoded: the chunk.
        answer: from `claim_ids`.
        committed: called only if some id was claimed by another record; the chunk before must be committed by then.
    """
    if answer.found is None:
        return Deduplicated(decoded.accepted, [], {}, degraded=True, claim_seconds=answer.seconds)
    began = time.monotonic()
    rows, duplicates, undecided = _sort(decoded.chunk, decoded.accepted, answer, committed)
    seconds = answer.seconds + time.monotonic() - began
    return Deduplicated(rows, duplicates, undecided, degraded=False, claim_seconds=seconds)


def _digest(key: bytes, value: bytes, place: bytes, offset: bytes) -> bytes:
    """Of a record's bytes at its place (topic id, partition) and offset, each as it is packed.

    The coordinate goes into BLAKE2b's own parameters, which costs nothing and copies no value.
    """
    return hashlib.blake2b(
        value, digest_size=_DIGEST_SIZE, key=key, salt=place[:16], person=place[16:] + offset
    ).digest()


def _pack(decoded: Decoded, key: bytes) -> list[bytes]:
    chunk = decoded.chunk
    prefixes = [
        _TOPIC_PARTITION.pack(r.topic_partition.topic_id.bytes, r.topic_partition.partition) for r in chunk.ranges
    ]
    records, sources, pack = chunk.records, chunk.sources, _OFFSET_AND_TIME.pack
    claims: list[bytes] = []
    for i, event in decoded.accepted:
        record, place = records[i], prefixes[sources[i]]
        offset_and_time = pack(record.offset(), event.occurred_at)
        claims.append(place + offset_and_time + _digest(key, record.value() or b"", place, offset_and_time[:8]))
    return claims


def _as_if_there(key: bytes, value: bytes, mine: bytes, found: bytes) -> Claim:
    """The record's own claim, with the digest that its bytes have at the coordinate that `found` names."""
    size = _TOPIC_PARTITION.size
    return _unpack(mine)._replace(digest=_digest(key, value, found[:size], found[size : size + 8]))


def _unpack(packed: bytes) -> Claim:
    topic_id, partition, offset, occurred_at, digest = _CLAIM.unpack(packed)
    return Claim(TopicIdPartition(UUID(bytes=topic_id), partition), offset, occurred_at, digest)


def _ask(client: Any, events: Sequence[Accepted], claims: Sequence[bytes], window_ms: int) -> dict[int, bytes]:
    """Claims that others hold, by index into `events`."""
    found: dict[int, bytes] = {}
    for first in range(0, len(events), _IDS_PER_CALL):
        ids = b"".join([e.event.event_id for e in events[first : first + _IDS_PER_CALL]])
        blob = b"".join(claims[first : first + _IDS_PER_CALL])
        arguments = (_PREFIX, window_ms, ids, blob, _CLAIM.size)
        answer = _evaluate(client, arguments)
        found.update((first + answer[i], answer[i + 1]) for i in range(0, len(answer), 2))
    return found


def _evaluate(client: Any, arguments: tuple[Any, ...]) -> list[Any]:
    from redis.exceptions import NoScriptError

    try:
        return client.evalsha(_SCRIPT_SHA, 0, *arguments)
    except NoScriptError:  # a new or restarted Redis
        return client.eval(_SCRIPT, 0, *arguments)


def _sort(
    chunk: Chunk,
    events: Sequence[Accepted],
    answer: RedisAnswer,
    committed: Callable[[], CommittedOffsets],
) -> tuple[list[Accepted], list[int], dict[int, int]]:
    claims, found = answer.claims, answer.found or {}
    others = {i: packed for i, packed in found.items() if packed != claims[i] and len(packed) == _CLAIM.size}
    if not others:
        return list(events), [], {}
    known = committed()
    rows: list[Accepted] = []
    duplicates: list[int] = []
    undecided: dict[int, int] = {}
    earlier: set[tuple[TopicIdPartition, int]] = set()
    for i, event in enumerate(events):
        packed = others.get(i)
        if packed is not None:
            theirs = _unpack(packed)
            mine = _as_if_there(answer.key, chunk.records[event.position].value() or b"", claims[i], packed)
            verdict = judge_claim(mine, theirs, earlier, known)
            if verdict is ClaimVerdict.DUPLICATE:
                duplicates.append(event.position)
                continue
            if verdict is ClaimVerdict.UNDECIDED:
                undecided[event.position] = theirs.occurred_at
        rows.append(event)
        if packed is None:
            topic_partition = chunk.ranges[chunk.sources[event.position]].topic_partition
            earlier.add((topic_partition, chunk.records[event.position].offset()))
    return rows, duplicates, undecided
