"""Partitions that Kafka does not hand out: what a run found, kept until the partition moves or is found again.

What belongs here: writing them down, and who has to know of them. What does not: finding them (`pull`), and giving a
range up (`assets.quality.give_up`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from assets.ingest.model import Unreadable
from assets.ingest.plan import TopicIdPartition
from assets.ingest.sql import statement
from resources.postgres import Connection

# For so long the sensor plans the other partitions without it; a run that meets it waits some seconds in vain.
RETRY_AFTER = timedelta(seconds=20)


class UnreadableSince(NamedTuple):
    """A partition that stands still: since when, and whether it was met again so lately that a run waits in vain."""

    partition: Unreadable
    since: datetime
    recent: bool


def record(connection: Connection, partitions: Sequence[Unreadable], run_id: str) -> None:
    """Write down what a run met; what has moved since it was written is deleted."""
    connection.execute(statement("forget_readable"))
    for each in sorted(partitions, key=lambda p: p.topic_partition):
        row = {
            "topic": each.topic,
            "topic_id": each.topic_partition.topic_id,
            "partition": each.topic_partition.partition,
        }
        more = {"at_offset": each.offset, "error": each.error, "run_id": run_id}
        connection.execute(statement("record_unreadable"), {**row, **more})


def current(connection: Connection) -> list[UnreadableSince]:
    """The partitions that have not moved since a run met them."""
    found = connection.execute(statement("unreadable"))
    return [
        UnreadableSince(
            Unreadable(topic, TopicIdPartition(topic_id, partition), offset, error),
            since,
            age < RETRY_AFTER.total_seconds(),
        )
        for topic, topic_id, partition, offset, error, since, age in found
    ]
