"""What all groups of a turn share: whether PostgreSQL answers, and what Kafka holds. Asked once, waited for once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from logging import getLogger

from confluent_kafka import KafkaException

from monitoring.metrics.database import MetricsDatabase
from resources.kafka import Available, Kafka, KafkaUnavailable

_LOG = getLogger("millrace.metrics")


class NotAvailable(Exception):
    """A group cannot be collected now; the text says why, for people."""


@dataclass(frozen=True)
class Snapshot:
    """PostgreSQL and Kafka at the beginning of a turn."""

    database: MetricsDatabase = field(repr=False)
    postgres: bool
    available: tuple[Available, ...] | None
    # What Kafka says of topics and of partitions (`topic/0`) whose offsets it does not return.
    troubles: Mapping[str, str] = field(default_factory=dict[str, str])

    def asked(self) -> MetricsDatabase:
        """The database.

        Raises:
            Unknown: it did not answer a moment ago.
        """
        if not self.postgres:
            raise NotAvailable("PostgreSQL does not answer")
        return self.database


def take_snapshot(database: MetricsDatabase, kafka: Kafka, topics: tuple[str, ...]) -> Snapshot:
    """Ask both; at most some five seconds each."""
    troubles: dict[str, str] = {}
    return Snapshot(database, database.answers(), _available(kafka, topics, troubles), troubles)


def _available(kafka: Kafka, topics: tuple[str, ...], troubles: dict[str, str]) -> tuple[Available, ...] | None:
    try:
        return tuple(kafka.available(topics, troubles))
    except (KafkaUnavailable, KafkaException) as error:
        _LOG.debug("Kafka does not answer: %s", error)
        return None
