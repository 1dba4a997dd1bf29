"""The group `lag`: how far Kafka is ahead of what is committed, in offsets and in seconds.

What belongs here: the difference, pure, and the committed offsets that were read last. What does not: reading records
(`unread`).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from logging import getLogger
from uuid import UUID

import psycopg

from monitoring.metrics.collect.snapshot import NotAvailable, Snapshot
from monitoring.metrics.collect.unread import Behind, Unread
from monitoring.metrics.families import Samples
from monitoring.metrics.sql import statement
from resources.kafka import Available, current_logs

Committed = Mapping[tuple[UUID, int], int]


def behind(available: Iterable[Available], committed: Committed) -> list[Behind]:
    """What is unread of every partition; one that nobody committed begins at the first offset that there is.

    Offsets that Kafka expired meanwhile are no lag: they are lost, which the ingest records as a gap.
    """
    return [
        Behind(a.topic, a.topic_id, a.partition, start, a.high)
        for a in current_logs(available, committed)
        for start in [max(a.low, committed.get((a.topic_id, a.partition), a.low))]
    ]


@dataclass
class Lag:
    """Goes on while PostgreSQL is down, by what was committed before."""

    unread: Unread
    clock: Callable[[], float] = field(default=time.time, repr=False)
    _committed: Committed | None = field(default=None, repr=False)

    def __call__(self, seen: Snapshot) -> Samples:
        """The values of the group.

        Raises:
            Unknown: Kafka does not answer, or PostgreSQL never has.
        """
        if seen.available is None:
            raise NotAvailable("Kafka does not answer")
        found = behind(seen.available, self._known(seen))
        oldest = self.unread.oldest([each for each in found if each.lag], self.clock())
        return {
            "millrace_consumer_lag_events": {(b.topic, str(b.partition)): float(b.lag) for b in found},
            "millrace_oldest_unread_seconds": {} if oldest is None else {(): oldest},
        }

    def _known(self, seen: Snapshot) -> Committed:
        if seen.postgres:
            try:
                with seen.database.asking() as connection:
                    self._committed = {(topic, p): at for topic, p, at in connection.execute(statement("offsets"))}
            except psycopg.Error as error:
                getLogger("millrace.metrics").debug("committed offsets: %s", type(error).__name__)
        if self._committed is None:
            raise NotAvailable("PostgreSQL does not answer")
        return self._committed
