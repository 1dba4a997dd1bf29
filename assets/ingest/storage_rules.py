"""By which rules a transaction stores, and which records they keep out: of users who were erased, and what is expired.

What belongs here: reading the rules under their lock, and the decision, inside the transaction that stores. What does
not: changing the rules (`corrections`).

Every storing transaction holds the lock on the rules shared, from its first statement to its end. A record before the
offset up to which its user is erased is erased, be it new, a duplicate or no event at all; a valid event from before
the frontier of retention is expired. Without rules that bear on the chunk it costs nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd
import psycopg

from assets.ingest import erasures, prior_outcome
from assets.ingest import frame as frames
from assets.ingest.erasures import Reach
from assets.ingest.model import Chunk, Decoded, Deduplicated, Outcome
from assets.ingest.partitions import frontier
from assets.ingest.plan import OffsetRange, TopicIdPartition
from assets.ingest.prior_outcome import EventKey
from assets.ingest.sql import statement
from contract.decoder import Event
from resources import locks
from resources.postgres import Connection


class StorageRules(NamedTuple):
    """By which rules a transaction stores.

    frontier: what occurred before it, in microseconds since 1970, is expired; None without retention.
    erasures: whether anybody was ever erased.
    reach: whether an erasure reaches into the offsets at hand.
    """

    frontier: int | None = None
    erasures: bool = False
    reach: bool = False


def begin_storing(
    connection: Connection, ranges: Sequence[OffsetRange], lock_timeout_seconds: float, *, again: bool
) -> StorageRules:
    """Begin a storing transaction: one round trip, and another once anybody was erased.

    Args:
        connection: outside of any transaction.
        ranges: the offsets at hand.
        lock_timeout_seconds: for the whole transaction.
        again: they were accounted for before, as in a replay; such a transaction keeps out of deletions.

    Raises:
        psycopg.errors.LockNotAvailable: the rules are being changed, or rows are being deleted. Try again.
    """
    arguments = {
        "timeout": f"{int(lock_timeout_seconds * 1000)}ms",
        "corrections": locks.CORRECTIONS,
        "again": again,
        "rules": locks.RULES,
    }
    # Values are bound by the client, so that all statements go in one message; each has a snapshot of its own.
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(statement("begin_storing"), arguments)
        while cursor.nextset():
            pass
        [(before, any_erasure)] = cursor.fetchall()
    return StorageRules(before, any_erasure, any_erasure and _reach(connection, ranges))


def _reach(connection: Connection, ranges: Sequence[OffsetRange]) -> bool:
    arguments = {
        "topic_ids": [r.topic_partition.topic_id for r in ranges],
        "partitions": [r.topic_partition.partition for r in ranges],
        "starts": [r.start for r in ranges],
    }
    [[found]] = connection.execute(statement("reach"), arguments).fetchall()
    return found


def read_rules(connection: Connection) -> StorageRules:
    """The rules as they are, for who only looks."""
    [[erasures]] = connection.execute("select exists(select 1 from ops.erasures)").fetchall()
    return StorageRules(frontier(connection), erasures, erasures)


@dataclass(frozen=True)
class SplitChunk:
    """A chunk less what the rules keep out, and what was kept out: positions in `erased`, `expired` and `present`."""

    decoded: Decoded
    claimed: Deduplicated
    frame: pd.DataFrame
    excluded: Outcome


def split_excluded(
    connection: Connection,
    decoded: Decoded,
    claimed: Deduplicated,
    frame: pd.DataFrame,
    rules: StorageRules,
    *,
    again: bool,
) -> SplitChunk:
    """Sort out what may not be stored.

    Args:
        connection: in a transaction that `begin_storing` began with these rules.
        decoded: the chunk.
        claimed: what Redis made of it.
        frame: of the claimed rows.
        rules: those of the transaction.
        again: the chunk was stored before. What of it is still there is `present`: its deletion records that.
    """
    excluded, returned = Outcome(), list[int]()
    if not rules.erasures and not _may_expire(claimed, frame, rules.frontier):
        return SplitChunk(decoded, claimed, frame, excluded)
    events = _events(decoded, claimed, every=rules.reach)
    if rules.erasures:
        excluded.erased, returned = _erased(connection, decoded, claimed, events, reach=rules.reach)
    if rules.frontier is not None:
        excluded.expired = _expired(frame, claimed, events, rules.frontier, set(excluded.erased))
    if again and (excluded.erased or excluded.expired):
        _leave_what_is_there(connection, decoded, excluded)
    if not (excluded.erased or excluded.expired or excluded.present or returned):
        return SplitChunk(decoded, claimed, frame, excluded)
    return _without(decoded, claimed, frame, excluded, set(returned))


def _may_expire(claimed: Deduplicated, frame: pd.DataFrame, frontier: int | None) -> bool:
    if frontier is None:
        return False
    return bool(claimed.duplicates) or bool((frame["occurred_at"].iloc[:1] < frontier).any())


def _events(decoded: Decoded, claimed: Deduplicated, *, every: bool) -> dict[int, Event]:
    """Events by position: all of them, or the duplicates of Redis alone."""
    wanted = None if every else set(claimed.duplicates)
    if wanted is not None and not wanted:
        return {}
    return {position: event for position, event in decoded.accepted if wanted is None or position in wanted}


def _erased(
    connection: Connection, decoded: Decoded, claimed: Deduplicated, events: Mapping[int, Event], *, reach: bool
) -> tuple[list[int], list[int]]:
    """The erased positions; and duplicates of Redis whose original may have been erased: PostgreSQL decides on them."""
    chunk = decoded.chunk
    names = {position: {event.user_id} for position, event in events.items()}
    if reach:
        for dead_letter in decoded.refused:
            record = chunk.records[dead_letter.position]
            names[dead_letter.position] = erasures.names_in(record.key(), record.value())
    known = erasures.of(connection, set[str]().union(*names.values()))
    if not known:
        return [], []
    named = {position: [known[n] for n in found if n in known] for position, found in names.items()}
    erased = [position for position, reaches in named.items() if _reached(chunk, position, reaches)]
    rest = set(claimed.duplicates) - set(erased)
    return sorted(erased), sorted(position for position in rest if named.get(position))


def _reached(chunk: Chunk, position: int, reaches: Iterable[Reach]) -> bool:
    topic_partition, offset = _coordinate(chunk, position)
    return any(offset < reach.get(topic_partition, 0) for reach in reaches)


def _coordinate(chunk: Chunk, position: int) -> tuple[TopicIdPartition, int]:
    return chunk.ranges[chunk.sources[position]].topic_partition, chunk.records[position].offset()


def _expired(
    frame: pd.DataFrame, claimed: Deduplicated, events: Mapping[int, Event], frontier: int, erased: Collection[int]
) -> list[int]:
    rows = frame["position"][frame["occurred_at"] < frontier].tolist()
    duplicates = [p for p in claimed.duplicates if p in events and events[p].occurred_at < frontier]
    return sorted({*rows, *duplicates} - set(erased))


def _leave_what_is_there(connection: Connection, decoded: Decoded, excluded: Outcome) -> None:
    wanted = {*excluded.erased, *excluded.expired}
    shown = [EventKey(p, event.event_id, event.occurred_at) for p, event in decoded.accepted if p in wanted]
    there = prior_outcome.stored_keys(connection, decoded.chunk, shown)
    excluded.present = sorted(there)
    excluded.erased = [p for p in excluded.erased if p not in there]
    excluded.expired = [p for p in excluded.expired if p not in there]


def _without(
    decoded: Decoded, claimed: Deduplicated, frame: pd.DataFrame, excluded: Outcome, returned: Collection[int]
) -> SplitChunk:
    out = {*excluded.erased, *excluded.expired, *excluded.present}
    back = [a for a in decoded.accepted if a.position in returned and a.position not in out]
    decoded = replace(
        decoded,
        accepted=[a for a in decoded.accepted if a.position not in excluded.erased],
        refused=[r for r in decoded.refused if r.position not in out],
    )
    claimed = replace(
        claimed,
        rows=sorted([*(a for a in claimed.rows if a.position not in out), *back]),
        duplicates=[p for p in claimed.duplicates if p not in out and p not in returned],
        undecided={
            **{p: at for p, at in claimed.undecided.items() if p not in out},
            **{a.position: a.event.occurred_at for a in back},  # the bytes are the same, so the time is
        },
    )
    kept = frames.build(decoded, claimed) if back else frame[~frame["position"].isin(out)]
    return SplitChunk(decoded, claimed, kept, excluded)
