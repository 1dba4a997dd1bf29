"""How far an erasure reaches: for each Kafka partition the offset before which a user's records are erased.

What belongs here: asking Kafka and PostgreSQL for it, and writing it down. What does not: the deleting (`erase`).
"""

import secrets
from collections.abc import Collection, Mapping

from millrace.assets.erasure.sql import statement
from millrace.assets.ingest import erasures, gate
from millrace.assets.ingest.plan import Place
from millrace.resources import generations
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


def ask(postgres: Postgres, connection: Connection, user_id: str, logs: Mapping[Place, int]) -> bytes:
    """Write down that the user is erased; every transaction that stores has seen it, or was committed before.

    Args:
        postgres: the database.
        connection: outside of any transaction.
        user_id: the user.
        logs: where logs end; of others, as far as they are committed.

    Returns:
        The hash that stands for the user.

    Raises:
        GateBusy: the ingest did not let it in.
    """
    with gate.changing_rules(postgres, connection):
        connection.execute(statement("keep_key"), {"key": secrets.token_bytes(32)})
        hashed = hash_of(connection, user_id)
        places = {Place(topic_id, p): end for topic_id, p, end in connection.execute(statement("known_places"))}
        now = {p._replace(topic_id=generations.current_id(*p, places)): end for p, end in logs.items()}
        reach = {place: max(places.get(place, 0), now.get(place, 0)) for place in {*places, *now}}
        connection.execute(
            statement("ask"),
            {
                "hashed": hashed,
                "topic_ids": [place.topic_id for place in reach],
                "partitions": [place.partition for place in reach],
                "up_to": list(reach.values()),
            },
        )
    return hashed


def hash_of(connection: Connection, user_id: str) -> bytes:
    """The hash that stands for the user; the first erasure must have made its key."""
    [[key]] = connection.execute("select key from ops.erasure_key").fetchall()
    return erasures.hash_of(key, user_id)
