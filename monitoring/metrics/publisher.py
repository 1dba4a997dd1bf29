"""Publishes the totals and the lanes: reads and pushes them under one lock, so that nothing older is pushed last.

What belongs here: the transaction around both. What does not: reading (`collect.counters`) and pushing (`push`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from logging import Logger

from monitoring.metrics.collect import counters
from monitoring.metrics.collect.counters import KnownLabels, LaneProgress
from monitoring.metrics.database import STATEMENT_SECONDS, MetricsDatabase
from monitoring.metrics.families import families, from_totals
from monitoring.metrics.push import Pusher, gone, grouping
from monitoring.metrics.totals import NO_LANE
from resources.postgres import Connection, commit

# Less than a session may be idle in the transaction, the last push included.
_LANES_SECONDS = 3.0


@dataclass(frozen=True)
class MetricsPublisher:
    """Whose totals, through what."""

    database: MetricsDatabase
    pusher: Pusher
    known: KnownLabels
    lanes: int
    log: Logger | None = None
    seconds: float = STATEMENT_SECONDS
    clock: Callable[[], float] = time.monotonic

    def publish(self, only_lane: int | None = None, *, sweep: bool = False) -> bool | None:
        """Push the totals and the lanes; failures to push are counted with it, and never raise.

        Args:
            only_lane: of the lanes this one alone, -1 for none of them.
            sweep: also delete the groups of lanes that are gone.

        Returns:
            Whether they were pushed; None when another process is at it.

        Raises:
            psycopg.Error, CommitLost: PostgreSQL failed.
        """
        failures = self.pusher.take_failures()
        written = False
        try:
            with self.database.asking(self.seconds) as connection:
                if not counters.locked(connection):
                    return None
                failures.write(connection, NO_LANE)
                pushed = self._push(connection, only_lane, sweep=sweep)
                commit(connection)
                written = True
            return pushed
        finally:
            if not written:
                self.pusher.give_back(failures)

    def _push(self, connection: Connection, only_lane: int | None, *, sweep: bool) -> bool:
        amounts = counters.read(connection, self.known)
        lanes = counters.lanes(connection, self.lanes)
        pushed = self.pusher.push(grouping("totals"), from_totals(amounts), self.log)
        until = self.clock() + _LANES_SECONDS
        # Those that moved last first: the others have nothing new.
        for number, lane in sorted(lanes.items(), key=lambda each: -each[1].last_commit):
            if only_lane in (None, number) and self.clock() < until:
                pushed &= self._push_lane(number, lane)
        for key in gone(self.pusher.groups(), lanes) if sweep else ():
            self.pusher.delete(key)
        return pushed

    def _push_lane(self, number: int, lane: LaneProgress) -> bool:
        return self.pusher.push(grouping("lane", number), families("lane", counters.lane_samples(lane)), self.log)
