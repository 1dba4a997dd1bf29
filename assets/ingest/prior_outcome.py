"""What a record stays when it is tried again, and today's rules refuse what earlier ones accepted.

What belongs here: the question what is stored of such a record, and what it was counted as. What does not: records
that today's code accepts (`event_writer`), and what becomes of dead letters (`dead_letter_history`).

No outcome is taken back because a rule became stricter. A record that is stored stays stored; one that has neither a
row nor a dead letter was a duplicate, or expired, unless its row went missing: only then it becomes a dead letter.
The record cannot be decoded any more, so its identity is read without the rules (`contract.identity`).
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from assets.ingest.model import Chunk, Outcome
from assets.ingest.partitions import detached, on_table
from assets.ingest.plan import TopicIdPartition
from assets.ingest.sql import statement
from contract.identity import Identity, identity
from resources.postgres import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# As in `event_writer`: keys are looked up; a plan that reads whole partitions instead would be worse every time.
_LOOK_UP = "set local enable_hashjoin = off; set local enable_mergejoin = off"


class EventKey(NamedTuple):
    """A record's position in the chunk, and the key of the event that it shows."""

    position: int
    event_id: bytes
    occurred_at: int


def stored_keys(connection: Connection, chunk: Chunk, shown: Collection[EventKey]) -> set[int]:
    """Those that stand in raw.events, or in a partition on its way out, under their own coordinates."""
    return {position for position, own in _rows(connection, chunk, shown) if own}


def stored(connection: Connection, chunk: Chunk, positions: Iterable[int]) -> list[int]:
    """Which records are stored, whatever today's rules say of them."""
    return sorted(stored_keys(connection, chunk, _shown(_identities(chunk, positions))))


def as_counted(connection: Connection, chunk: Chunk, positions: Iterable[int], frontier: int | None) -> Outcome:
    """What records stay that today's rules refuse and that have no dead letter; one in no list lost its stored row.

    Args:
        connection: in a transaction that holds the fences of the chunk.
        chunk: the records.
        positions: those that are not found by their key (`stored`).
        frontier: of retention, in microseconds since 1970.
    """
    kept, wanted = Outcome(), sorted(positions)
    if not wanted:
        return kept
    shown = _identities(chunk, wanted)
    kept.expired = [p for p in wanted if p in shown and _before(shown[p], frontier)]
    rest = {p: found for p, found in shown.items() if p not in set(kept.expired)}
    kept.duplicates = sorted({position for position, _ in _rows(connection, chunk, _shown(rest))})
    unexplained = [p for p in wanted if p not in {*kept.expired, *kept.duplicates}]
    if unexplained:
        _search(connection, chunk, unexplained, rest, kept)
    return kept


def _before(shown: Identity, frontier: int | None) -> bool:
    return frontier is not None and shown.occurred_at is not None and shown.occurred_at < frontier


def _identities(chunk: Chunk, positions: Iterable[int]) -> dict[int, Identity]:
    read = ((position, identity(chunk.records[position].value())) for position in positions)
    return {position: found for position, found in read if found is not None}


def _shown(identities: Mapping[int, Identity]) -> list[EventKey]:
    pairs = identities.items()
    return [EventKey(p, found.event_id, found.occurred_at) for p, found in pairs if found.occurred_at is not None]


def _rows(connection: Connection, chunk: Chunk, shown: Collection[EventKey]) -> set[tuple[int, bool]]:
    """The positions under whose keys something is stored, and whether that is the record itself."""
    found: set[tuple[int, bool]] = set()
    if not shown:
        return found
    at = [_coordinate(chunk, each.position) for each in shown]
    arguments = {
        "positions": [each.position for each in shown],
        "times": [_EPOCH + timedelta(microseconds=each.occurred_at) for each in shown],
        "ids": [UUID(bytes=each.event_id) for each in shown],
        "topic_ids": [topic_partition.topic_id for topic_partition, _ in at],
        "partitions": [topic_partition.partition for topic_partition, _ in at],
        "offsets": [offset for _, offset in at],
    }
    connection.execute(_LOOK_UP)
    for table in ("raw.events", *detached(connection)):
        found.update(connection.execute(on_table(statement("still_there"), table), arguments).fetchall())
    return found


def _search(
    connection: Connection, chunk: Chunk, positions: Iterable[int], shown: Mapping[int, Identity], kept: Outcome
) -> None:
    """Look for rows by coordinate and by id alone: no index has them, so each partition is read once.

    It finds the rows of events whose time cannot be read any more, and the originals of retries with a new time.
    """
    at = {_coordinate(chunk, position): position for position in positions}
    ids = {UUID(bytes=shown[position].event_id): position for position in at.values() if position in shown}
    arguments = {
        "topic_ids": list({topic_partition.topic_id for topic_partition, _ in at}),
        "partitions": list({topic_partition.partition for topic_partition, _ in at}),
        "offsets": [offset for _, offset in at],
        "ids": list(ids),
    }
    rows = [
        row
        for table in ("raw.events", *detached(connection))
        for row in connection.execute(on_table(statement("search_rows"), table), arguments)
    ]
    own = {(TopicIdPartition(topic_id, part), offset) for _, topic_id, part, offset in rows}
    known = {event_id for event_id, *_ in rows}
    kept.present = [position for topic_partition, position in at.items() if topic_partition in own]
    rest = (position for topic_partition, position in at.items() if topic_partition not in own and position in shown)
    kept.duplicates += [position for position in rest if UUID(bytes=shown[position].event_id) in known]


def _coordinate(chunk: Chunk, position: int) -> tuple[TopicIdPartition, int]:
    return chunk.ranges[chunk.sources[position]].topic_partition, chunk.records[position].offset()
