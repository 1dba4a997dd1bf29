"""How far an erasure reaches: for each Kafka partition the offset before which a user's records are erased.

What belongs here: asking Kafka and PostgreSQL for it, and writing it down. What does not: the deleting (`erase`).
"""

import secrets
from collections.abc import Collection, Mapping, Sequence

from millrace.assets.erasure.sql import statement
from millrace.assets.ingest import erasures, gate
from millrace.assets.ingest.plan import Place
from millrace.resources.kafka import Kafka
from millrace.resources.postgres import Connection, Postgres


def ends(kafka: Kafka, topics: Collection[str]) -> dict[Place, int]:
    """Where each partition's log ends now, records of open transactions included: they were sent already.

    Raises:
        KafkaUnavailable: of some partition it cannot be told.
    """
    found = kafka.topic_ids(sorted(topics))
    return {
        Place(topic_id, partition): kafka.end_offset(topic, partition)
        for topic, (topic_id, partitions) in found.items()
        for partition in range(partitions)
    }


def topics_ever(connection: Connection) -> set[str]:
    """The topics that were ever ingested: a setting may have forgotten some."""
    return {topic for (topic,) in connection.execute("select distinct topic from ops.offsets")}


def ask(postgres: Postgres, connection: Connection, users: Sequence[str], logs: Mapping[Place, int]) -> list[bytes]:
    """Write down that users are erased, in one pause of the ingest.

    Every transaction that stores has seen it, or was committed before.

    Args:
        postgres: the database.
        connection: outside of any transaction.
        users: their ids.
        logs: where logs end; of others, as far as they are committed.

    Returns:
        The hash that stands for each user.

    Raises:
        GateBusy: the ingest did not let it in.
    """
    with gate.changing_rules(postgres, connection):
        connection.execute(statement("keep_key"), {"key": secrets.token_bytes(32)})
        hashes = [hash_of(connection, user) for user in users]
        places = {Place(topic_id, p): end for topic_id, p, end in connection.execute(statement("known_places"))}
        reach = {place: max(places.get(place, 0), logs.get(place, 0)) for place in {*places, *logs}}
        connection.execute(
            statement("ask"),
            {
                "keys": hashes,
                "topic_ids": [place.topic_id for place in reach],
                "partitions": [place.partition for place in reach],
                "up_to": list(reach.values()),
            },
        )
    return hashes


def hash_of(connection: Connection, user_id: str) -> bytes:
    """The hash that stands for the user; the first erasure must have made its key."""
    [[key]] = connection.execute("select key from ops.erasure_key").fetchall()
    return erasures.hash_of(key, user_id)
