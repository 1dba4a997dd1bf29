"""Who is to stay erased, and which records name somebody. Keyed hashes: the ids themselves are nowhere kept.

What belongs here: the hash, the question whose erasures there are, and the reading of ids out of bytes that are no
event. What does not: what becomes of such a record (`storage_rules`), and the erasing (`assets.erasure`).
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping

from assets.ingest.plan import TopicIdPartition
from assets.ingest.sql import statement
from resources.postgres import Connection

_QUOTE = re.compile(rb'(?<!\\)"')
_NUMBER = re.compile(rb'"userId"\s*:\s*(-?[0-9][0-9.eE+-]{0,40})')

Reach = Mapping[TopicIdPartition, int]
"""For each partition the offset before which a user's records are erased."""


def hash_of(key: bytes, user_id: str) -> bytes:
    """What stands for a user's id."""
    return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), key=key, digest_size=16).digest()


def of(connection: Connection, names: Collection[str]) -> dict[str, Reach]:
    """The erasures of those of the names that are users who were erased.

    Args:
        connection: in a transaction that `begin_storing` began.
        names: users' ids, or texts that could be some.
    """
    row = connection.execute(statement("erasure_key")).fetchone()
    if row is None or not names:
        return {}
    hashes = {hash_of(row[0], name): name for name in names}
    found: dict[str, dict[TopicIdPartition, int]] = {}
    query = connection.execute(statement("erasures"), {"user_hashes": list(hashes)})
    for user_hash, topic_id, partition, up_to in query:
        found.setdefault(hashes[user_hash], {})[TopicIdPartition(topic_id, partition)] = up_to
    return dict(found)


def names_in(key: bytes | None, value: bytes | None) -> set[str]:
    """Every text that a record which is no event could mean by a user's id.

    These are its key, each JSON string in its value (what stands between two quotes, broken as the rest may be), and
    a number in the place of payload.userId.
    """
    found = {text for text in (_text(key),) if text is not None}
    if value is not None:
        found.update(text for part in _strings(value) if (text := _text(part)) is not None)
        found.update(match.decode() for match in _NUMBER.findall(value))
    return found


def written(user_id: str) -> list[bytes]:
    """The ways in which JSON usually writes an id, without its quotes."""
    ways = [user_id, json.dumps(user_id)[1:-1], json.dumps(user_id, ensure_ascii=False)[1:-1]]
    return list(dict.fromkeys(way.encode("utf-8", "surrogatepass") for way in ways))


def _strings(value: bytes) -> Iterator[bytes]:
    yield from value.split(b'"')
    for part in _QUOTE.split(value):
        if b"\\" in part:
            try:
                yield json.loads(b'"' + part + b'"', strict=False).encode("utf-8", "surrogatepass")
            except ValueError:
                continue


def _text(encoded: bytes | None) -> str | None:
    try:
        return None if encoded is None else encoded.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
