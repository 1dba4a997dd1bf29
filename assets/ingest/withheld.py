"""What Kafka withholds, for people and metrics: what runs met (`unreadable`) beside what it says of itself.

What belongs here: putting both together, and the samples of the metrics. What does not: finding either, and topics that
are not in the settings (`unconfigured_topics`), of which only the samples are made here.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from assets.ingest import ledger_queries, unreadable
from assets.ingest.plan import TopicIdPartition
from assets.ingest.unconfigured_topics import LeftOut
from contract.shown import said
from monitoring.metrics.collect.snapshot import Snapshot
from monitoring.metrics.families import Samples
from resources.kafka import Available, current_logs
from resources.postgres import Connection

ALL = "all"
"""In place of a partition's number: Kafka does not even say which partitions the topic has."""
_LONGEST = 200

Offsets = Mapping[tuple[str, str], int]
"""The next offset to read by the topic's and the partition's name."""


class Withheld(NamedTuple):
    """A partition that cannot be read; the offset is None where nothing was ever read."""

    topic: str
    partition: str
    offset: int | None
    error: str
    since: datetime | None = None

    def __str__(self) -> str:
        """As the sensor, the metrics and the doctor name it."""
        where = "" if self.offset is None else f" at offset {self.offset}"
        return f"{self.topic}/{self.partition}{where}: {self.error}"

    @property
    def labels(self) -> tuple[str, str, str, str]:
        """Those of `millrace_partition_unreadable`."""
        at = "unknown" if self.offset is None else str(self.offset)
        return self.topic, self.partition, at, said(self.error, _LONGEST)


def together(
    found: Iterable[unreadable.UnreadableSince],
    troubles: Mapping[str, str],
    offsets: Offsets,
    available: Iterable[Available] | None,
) -> list[Withheld]:
    """All that is withheld now, each partition once.

    Args:
        found: what runs met. Topics and logs that Kafka does not hold any more are left out.
        troubles: what Kafka says of topics and partitions whose offsets it does not return (`Kafka.available`).
        offsets: where those stand.
        available: under the ids of the logs that are read now; None where Kafka cannot be asked.
    """
    there = None if available is None else {TopicIdPartition(a.topic_id, a.partition) for a in available}
    met = [
        Withheld(p.topic, str(p.topic_partition.partition), p.offset, p.error, since)
        for p, since, _ in found
        if there is None or p.topic_partition in there
    ]
    told = [
        Withheld(topic, number or ALL, offsets.get((topic, number)), error)
        for topic, _, number, error in ((*name.partition("/"), error) for name, error in troubles.items())
    ]
    return sorted({each[:2]: each for each in (*met, *told)}.values(), key=lambda w: (w.topic, len(w.partition), w))


def read(connection: Connection, troubles: Mapping[str, str], available: Iterable[Available] | None) -> list[Withheld]:
    """The same, with what PostgreSQL knows; `available` under Kafka's own ids.

    Raises:
        psycopg.Error: PostgreSQL cannot be asked.
    """
    held = None if available is None else current_logs(available, ledger_queries.committed_offsets(connection))
    offsets = ledger_queries.next_offsets(connection) if troubles else {}
    return together(unreadable.current(connection), troubles, offsets, held)


def collector(topics: tuple[str, ...], left_out: LeftOut) -> Callable[[Snapshot], Samples]:
    """A part of the metrics' group `state`: 1 for each partition that is withheld, records that are left out."""

    def samples(seen: Snapshot) -> Samples:
        with seen.asked().asking() as connection:
            found = read(connection, seen.troubles, seen.available)
            known = left_out.known(connection)
        unread = {} if seen.available is None else left_out.unread(known)
        return {
            "millrace_partition_unreadable": {each.labels: 1.0 for each in found if each.topic in topics},
            "millrace_topic_left_out_events": {(topic,): float(left) for topic, left in unread.items()},
        }

    return samples
