"""The reporter: a thread that pushes every group on its beat, whether Dagster works or not.

What belongs here: turns, the thread, and that one group's failure is its own. What does not: values (`collect`), what
is due (`schedule`), and who starts it (`sensors.metrics`).
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from logging import Logger, getLogger

from monitoring.metrics import schedule
from monitoring.metrics.collect.snapshot import NotAvailable, Snapshot, take_snapshot
from monitoring.metrics.families import Samples, families
from monitoring.metrics.names import Group
from monitoring.metrics.publisher import MetricsPublisher
from monitoring.metrics.push import grouping
from monitoring.metrics.schedule import GroupPush
from resources.kafka import Kafka
from resources.postgres import describe

Collector = Callable[[Snapshot], Samples]

_SWEEP_SECONDS = 60.0
_NOT_TAKEN = "the Pushgateway did not take it"


@dataclass
class MetricsReporter:
    """One thread of a process at most; a forked child starts its own."""

    publisher: MetricsPublisher
    kafka: Kafka
    topics: tuple[str, ...]
    collectors: Mapping[Group, Collector]
    interval_seconds: float
    log: Logger = field(default=getLogger("millrace.metrics"), repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    pushes: dict[Group, GroupPush] = field(default_factory=dict[Group, GroupPush], repr=False)
    _tried: dict[Group, float] = field(default_factory=dict[Group, float], repr=False)
    _swept: float = field(default=float("-inf"), repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _thread: tuple[int, threading.Thread] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the thread, unless it runs already."""
        if self._thread is not None and self._thread[0] == os.getpid() and self._thread[1].is_alive():
            return
        self._stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(self._stop,), name="metrics", daemon=True)
        self._thread = (os.getpid(), thread)
        thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        kept, self._thread = self._thread, None
        if kept is not None and kept[0] == os.getpid():
            kept[1].join()

    def explain(self) -> str:
        """What was pushed when, and what fails, for people."""
        return schedule.explain(self.clock(), dict(self.pushes), resting=self.publisher.pusher.resting)

    def turn(self) -> None:
        """Push what is due; nothing, and nothing is asked of anybody, while the Pushgateway is left alone."""
        began = self.clock()
        groups = schedule.due(began, self._tried, self._every)
        if not groups or self.publisher.pusher.resting:
            return
        seen = take_snapshot(self.publisher.database, self.kafka, self.topics)
        for group in groups:
            self._tried[group] = began
            self._note(group, self._tell(group, seen))

    @property
    def _every(self) -> Mapping[Group, float]:
        return schedule.every(self.interval_seconds)

    def _run(self, stop: threading.Event) -> None:
        failed = ""
        while not stop.is_set():
            try:
                self.turn()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next turn may do better
                if failed != (failed := describe(error)):
                    self.log.warning("metrics: turns fail: %s", failed)
            stop.wait(schedule.wait(self.clock(), self._tried, self._every))

    def _tell(self, group: Group, seen: Snapshot) -> GroupPush:
        """Push a group; what is known of it afterwards."""
        before = self.pushes.get(group, GroupPush())
        try:
            pushed = self._tell_totals(seen) if group == "totals" else self._push(group, self.collectors[group](seen))
        except NotAvailable as error:
            return before._replace(problem=str(error))
        except Exception as error:  # noqa: BLE001 - it costs this group, not the others
            return before._replace(problem=describe(error))
        if pushed is None:
            return before
        return GroupPush(self.clock()) if pushed else before._replace(problem=_NOT_TAKEN)

    def _push(self, group: Group, samples: Samples) -> bool:
        return self.publisher.pusher.push(grouping(group), families(group, samples))

    def _tell_totals(self, seen: Snapshot) -> bool | None:
        seen.asked()
        sweep = self.clock() - self._swept >= _SWEEP_SECONDS
        pushed = self.publisher.publish(sweep=sweep)
        if sweep and pushed:
            self._swept = self.clock()
        return pushed

    def _note(self, group: Group, now: GroupPush) -> None:
        """Remember it, and log a problem when it is new: one outage is one warning, however many groups it costs."""
        before, known = self.pushes.get(group, GroupPush()).problem, self._problems()
        self.pushes[group] = now
        if now.problem and now.problem not in known:
            self.log.warning("metrics: the group %s is not pushed: %s", group, now.problem)
        elif before and before not in self._problems():
            self.log.info("metrics: the group %s is pushed again, after: %s", group, before)

    def _problems(self) -> set[str]:
        """Without those of the Pushgateway, of which the pusher speaks."""
        return {_NOT_TAKEN, *(each.problem for each in self.pushes.values() if each.problem)}
