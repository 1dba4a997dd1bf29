"""How far an erasure reaches: for each Kafka partition the offset before which a user's records are erased.

What belongs here: asking Kafka and PostgreSQL for it, and writing it down. What does not: the deleting (`erase`).
"""

import secrets
from collections.abc import Collection, Mapping, Sequence

from assets.erasure.sql import statement
from assets.ingest import corrections, erasures
from assets.ingest.plan import TopicIdPartition
from resources.kafka import Kafka
from resources.postgres import Connection, Postgres


def ends(kafka: Kafka, topics: Collection[str]) -> dict[TopicIdPartition, int]:
    """Where each partition's log ends now, records of open transactions included: they were sent already.

    Raises:
        KafkaUnavailable: the end of some partition is not known.
    """
    found = kafka.topic_ids(sorted(topics))
    return {
        TopicIdPartition(topic_id, partition): kafka.end_offset(topic, partition)
        for topic, (topic_id, partitions) in found.items()
        for partition in range(partitions)
    }


def topics_ever(connection: Connection) -> set[str]:
    """The topics that were ever ingested: a setting may have forgotten some."""
    return {topic for (topic,) in connection.execute("select distinct topic from ops.offsets")}


def ask(
    postgres: Postgres, connection: Connection, users: Sequence[str], logs: Mapping[TopicIdPartition, int]
) -> list[bytes]:
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
        RulesLocked: the ingest did not let it in.
    """
    with corrections.changing_rules(postgres, connection):
        connection.execute(statement("keep_key"), {"key": secrets.token_bytes(32)})
        hashes = [hash_of(connection, user) for user in users]
        topic_partitions = {
            TopicIdPartition(topic_id, p): end for topic_id, p, end in connection.execute(statement("known_places"))
        }
        reach = {
            topic_partition: max(topic_partitions.get(topic_partition, 0), logs.get(topic_partition, 0))
            for topic_partition in {*topic_partitions, *logs}
        }
        connection.execute(
            statement("ask"),
            {
                "keys": hashes,
                "topic_ids": [topic_partition.topic_id for topic_partition in reach],
                "partitions": [topic_partition.partition for topic_partition in reach],
                "up_to": list(reach.values()),
            },
        )
    return hashes


def hash_of(connection: Connection, user_id: str) -> bytes:
    """The hash that stands for the user; the first erasure must have made its key."""
    [[key]] = connection.execute("select key from ops.erasure_key").fetchall()
    return erasures.hash_of(key, user_id)
