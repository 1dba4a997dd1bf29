"""Topics that were ingested, are not among the settings any more, and hold records that nobody has read.

What belongs here: finding them. What does not: who is told (the sensor, `reconcile`).
"""

from collections.abc import Collection

from millrace.assets.ingest import books
from millrace.assets.ingest.plan import Place
from millrace.resources import generations
from millrace.resources.kafka import Kafka
from millrace.resources.postgres import Connection

_KNOWN = "select distinct topic from ops.offsets where replaced_at is null and topic <> all(%s)"


def unread(kafka: Kafka, connection: Connection, topics: Collection[str]) -> dict[str, int]:
    """How many records of each such topic were never read. Costs one query where there is none.

    Raises:
        KafkaUnavailable: no broker answered.
        psycopg.Error: PostgreSQL cannot be asked.
    """
    known = sorted(topic for (topic,) in connection.execute(_KNOWN, (list(topics),)))
    if not known:
        return {}
    committed, found = books.committed(connection), dict[str, int]()
    for held in generations.current(kafka.available(known), committed):
        left = held.high - max(held.low, committed.get(Place(held.topic_id, held.partition), held.low))
        found[held.topic] = found.get(held.topic, 0) + max(0, left)
    return {topic: left for topic, left in found.items() if left}


def told(found: dict[str, int]) -> str:
    """One line for people."""
    listed = ", ".join(f"{topic} ({left:,} unread)" for topic, left in sorted(found.items()))
    return f"topics with unread records are not in MILLRACE_KAFKA_TOPICS any more: {listed}; put them in again"
