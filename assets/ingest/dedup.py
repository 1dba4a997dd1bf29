"""Asks Redis which event ids were seen before. A claim is a hint that makes storing fast, never the truth.

What belongs here: asking without ever failing, and the judgement of what was found. What does not: the bytes of claims
and how Redis keeps them (`claims`), PostgreSQL's say on what Redis leaves undecided (`store`).
"""

import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from assets.ingest import claims
from assets.ingest.claims import Claim
from assets.ingest.model import Decoded, Deduplicated
from assets.ingest.plan import TopicIdPartition
from resources.redis import Redis, RedisUnavailable


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
    mine: Claim, found: Claim, earlier: Container[tuple[TopicIdPartition, int]], committed: CommittedOffsets
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
    """What Redis answered: the claims of the events, one after the other, and those that were there, by index.

    `found` is None without an answer.
    """

    claims: bytes
    found: dict[int, bytes] | None
    seconds: float
    key: bytes

    def mine(self, index: int) -> bytes:
        """The claim of an event."""
        return self.claims[index * claims.SIZE : (index + 1) * claims.SIZE]

    def places(self) -> dict[bytes, int]:
        """The indexes of the events, by their coordinates as `claims.place_of` has them."""
        mine = self.claims
        return {mine[at : at + claims.PLACE]: at // claims.SIZE for at in range(0, len(mine), claims.SIZE)}


def claim_ids(redis: Redis, decoded: Decoded, window_ms: int, key: bytes) -> RedisAnswer:
    """Claim the ids of a chunk's events. May be done before the chunk before it is committed.

    Args:
        redis: down, hung or empty is fine.
        decoded: the chunk.
        window_ms: how long an id is remembered at least.
        key: of the digests, `ledger_queries.claim_key`.
    """
    return _ask(redis, decoded, window_ms, key, look_only=False)


def read_claims(redis: Redis, decoded: Decoded, window_ms: int, key: bytes) -> RedisAnswer:
    """What is claimed of a chunk's ids, without claiming any.

    For records whose offsets are committed already: a claim of theirs would be believed before they are stored.
    """
    return _ask(redis, decoded, window_ms, key, look_only=True)


def _ask(redis: Redis, decoded: Decoded, window_ms: int, key: bytes, *, look_only: bool) -> RedisAnswer:
    began = time.monotonic()
    packed = claims.pack(decoded, key)
    ids = [event.event_id for _, event in decoded.accepted]
    found: dict[int, bytes] | None = {}
    if ids:
        try:
            found = redis.call(lambda client: claims.ask(client, ids, b"" if look_only else packed, window_ms))
        except RedisUnavailable:
            found = None
    return RedisAnswer(packed, found, time.monotonic() - began, key)


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
    duplicates, undecided = _judge(decoded, answer, committed)
    rows = decoded.accepted
    if duplicates:
        gone = set(duplicates)
        rows = [accepted for accepted in rows if accepted.position not in gone]
    seconds = answer.seconds + time.monotonic() - began
    return Deduplicated(rows, duplicates, undecided, degraded=False, claim_seconds=seconds)


def _judge(
    decoded: Decoded, answer: RedisAnswer, committed: Callable[[], CommittedOffsets]
) -> tuple[list[int], dict[int, int]]:
    """Positions of the duplicates; and of what is undecided, with the time that the claim names."""
    chunk, found = decoded.chunk, answer.found or {}
    others = {i: found[i] for i in sorted(found) if found[i] != answer.mine(i) and len(found[i]) == claims.SIZE}
    if not others:
        return [], {}
    known, places = committed(), answer.places()
    duplicates: list[int] = []
    undecided: dict[int, int] = {}
    for i, packed in others.items():
        position = decoded.accepted[i].position
        theirs = claims.unpack(packed)
        mine = claims.as_if_there(answer.key, chunk.records[position].value() or b"", answer.mine(i), packed)
        at = places.get(claims.place_of(packed), i)
        earlier = [(theirs.topic_partition, theirs.offset)] if at < i and at not in others else []
        verdict = judge_claim(mine, theirs, earlier, known)
        if verdict is ClaimVerdict.DUPLICATE:
            duplicates.append(position)
        elif verdict is ClaimVerdict.UNDECIDED:
            undecided[position] = theirs.occurred_at
    return duplicates, undecided
