"""Runs that are still being made: created, and not sent yet.

What belongs here: whether their maker goes on. What does not: runs that were sent (`monitor`).

Before Dagster sends a run it writes an event for each table and partition that the run will make: 100,000 of them for
six hourly tables over two years. However long that takes, a run is left alone as long as events of it are written.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dagster import DagsterInstance

# Between two events a maker resolves partitions, or waits for the code server; that takes seconds.
PATIENCE = 600.0
# Younger ones are not asked about at all.
_YOUNG = 30.0
_TOLD = (
    f"The run was created and never sent: for {PATIENCE / 60:.0f} minutes whoever was making it (the web server, the "
    "daemon or a command) has written no event of it, so it has ended or hangs. Nothing was executed; launch it again."
)


@dataclass(slots=True)
class RunCreation:
    """What was seen of runs that are being made; times by the clock of this process alone."""

    clock: Callable[[], float] = time.monotonic
    _first: dict[str, float] = field(default_factory=dict[str, float])
    _newest: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])

    def given_up(self, instance: DagsterInstance, run_id: str) -> str | None:
        """Why a run is not waited for any more; None as long as its maker makes progress."""
        now = self.clock()
        if now - self._first.setdefault(run_id, now) < _YOUNG:
            return None
        return _TOLD if self.stalled(run_id, _newest_event(instance, run_id), now) else None

    def stalled(self, run_id: str, newest: int, now: float) -> bool:
        """Whether the newest event has been the same for too long."""
        seen, since = self._newest.get(run_id, (newest, self._first.setdefault(run_id, now)))
        if seen != newest:
            since = now
        self._newest[run_id] = (newest, since)
        return now - since >= PATIENCE

    def forget_all_but(self, run_ids: Iterable[str]) -> None:
        """Keep only what is known of runs that are still under way."""
        keep = set(run_ids)
        self._first = {run: since for run, since in self._first.items() if run in keep}
        self._newest = {run: seen for run, seen in self._newest.items() if run in keep}


def _newest_event(instance: DagsterInstance, run_id: str) -> int:
    """The number of a run's newest event; 0 without any."""
    found = instance.event_log_storage.get_records_for_run(run_id, limit=1, ascending=False).records
    return found[0].storage_id if found else 0
