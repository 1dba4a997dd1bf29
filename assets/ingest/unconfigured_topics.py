"""Topics that were ingested, are not among the settings any more, and hold records that nobody has read.

What belongs here: finding them, not too often. What does not: who is told (the sensor, `reconcile`, the metrics, the
doctor).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from assets.ingest import ledger_queries
from assets.ingest.plan import TopicIdPartition
from resources.kafka import Kafka, KafkaUnavailable, current_logs
from resources.postgres import Connection

_KNOWN = "select distinct topic from ops.offsets where replaced_at is null and topic <> all(%s)"
# Such a topic changes when somebody changes the settings, so nobody waits for this.
_EVERY_SECONDS = 60.0


class KnownTopics(NamedTuple):
    """Topics that were ingested and are not in the settings, and what is committed."""

    topics: list[str]
    committed: Mapping[TopicIdPartition, int]


@dataclass
class LeftOut:
    """Asks Kafka once in a while, where there is such a topic at all, and remembers the answer."""

    kafka: Kafka
    topics: tuple[str, ...]
    every_seconds: float = _EVERY_SECONDS
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _asked_at: float | None = field(default=None, repr=False)
    _found: dict[str, int] = field(default_factory=dict[str, int], repr=False)

    @property
    def is_due(self) -> bool:
        """Whether the answer is too old."""
        return self._asked_at is None or self.clock() - self._asked_at >= self.every_seconds

    def known(self, connection: Connection) -> KnownTopics | None:
        """What PostgreSQL says; None where the last answer still holds.

        Raises:
            psycopg.Error: PostgreSQL cannot be asked.
        """
        return known(connection, self.topics) if self.is_due else None

    def unread(self, known: KnownTopics | None) -> Mapping[str, int]:
        """How many records of each such topic were never read; the last answer where Kafka does not answer now."""
        if known is not None:
            self._asked_at = self.clock()
            try:
                self._found = count(self.kafka, known)
            except KafkaUnavailable:
                # The right to it went with the topic, perhaps: that must not keep others from being read.
                self._found = {topic: left for topic, left in self._found.items() if topic in known.topics}
        return self._found


def unread_records(kafka: Kafka, connection: Connection, topics: tuple[str, ...]) -> dict[str, int]:
    """How many records of each such topic were never read, asked now. Costs one query where there is none.

    Raises:
        KafkaUnavailable: no broker answered.
        psycopg.Error: PostgreSQL cannot be asked.
    """
    return count(kafka, known(connection, topics))


def known(connection: Connection, topics: tuple[str, ...]) -> KnownTopics:
    """What PostgreSQL says.

    Raises:
        psycopg.Error: PostgreSQL cannot be asked.
    """
    found = sorted(topic for (topic,) in connection.execute(_KNOWN, (list(topics),)))
    return KnownTopics(found, ledger_queries.committed_offsets(connection) if found else {})


def count(kafka: Kafka, known: KnownTopics) -> dict[str, int]:
    """How many records of each were never read; of a topic that Kafka does not describe, nothing.

    Raises:
        KafkaUnavailable: no broker answered.
    """
    if not known.topics:
        return {}
    found, troubles = dict[str, int](), dict[str, str]()
    for held in current_logs(kafka.available(known.topics, troubles), known.committed):
        left = held.high - max(held.low, known.committed.get(TopicIdPartition(held.topic_id, held.partition), held.low))
        found[held.topic] = found.get(held.topic, 0) + max(0, left)
    return {topic: left for topic, left in found.items() if left}


def describe(found: Mapping[str, int]) -> str:
    """One line for people."""
    listed = ", ".join(f"{topic} ({left:,} unread)" for topic, left in sorted(found.items()))
    return f"topics with unread records are not in MILLRACE_KAFKA_TOPICS any more: {listed}; put them in again"
