"""Pushing that never hurts: short, quiet, and left alone for a while after it failed.

What belongs here: the back-off, the one warning, counting failures, the names of groups. What does not: HTTP
(`resources.pushgateway`) and values.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from logging import Logger, getLogger
from typing import TypeVar

from prometheus_client.core import Metric

from monitoring.metrics.names import Group
from monitoring.metrics.totals import Totals
from resources.pushgateway import PushFailed, Pushgateway

T = TypeVar("T")

JOB = "millrace"
REST_SECONDS = 15.0
# What a request that is refused says about others: nothing. What an unreachable server says: all fail.
_ALL = "all"
# A group that was refused and never pushed again must not be taken for an outage for ever.
_FORGOTTEN_SECONDS = 60.0


def grouping(group: Group, lane: int | None = None) -> dict[str, str]:
    """The grouping key of a group: stable, so that a push replaces what was pushed before."""
    named = {"job": JOB, "collector": group}
    return named if lane is None else {**named, "lane": str(lane)}


def gone(groups: Iterable[Mapping[str, str]], lanes: Iterable[int]) -> list[dict[str, str]]:
    """The groups of lanes that were removed. Groups of other jobs are left alone."""
    ours = [grouping("lane", lane) for lane in lanes]
    return [
        dict(each)
        for each in groups
        if each == grouping("lane") | {"lane": each.get("lane")} and each not in ours  # of no further label
    ]


@dataclass
class Pusher:
    """Pushes of one process. Safe for use by several threads."""

    gateway: Pushgateway
    log: Logger = field(default=getLogger("millrace.metrics"), repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _rests: dict[str, float] = field(default_factory=dict[str, float], repr=False)
    _failures: Totals = field(default_factory=Totals, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def resting(self) -> bool:
        """Whether everything is left alone, since the Pushgateway could not be reached a moment ago."""
        return self.clock() < self._rests.get(_ALL, 0.0)

    def push(self, key: Mapping[str, str], families: Iterable[Metric], log: Logger | None = None) -> bool:
        """Replace a group; False if it was not, whyever. `log` hears of it instead of the process's."""
        return self._try(key, lambda: self.gateway.push(key, families), log) is not None

    def delete(self, key: Mapping[str, str]) -> bool:
        """Delete a group; False if it was not."""
        return self._try(key, lambda: self.gateway.delete(key), None) is not None

    def groups(self) -> list[dict[str, str]]:
        """The groups that there are; none when that is not known."""
        found: list[dict[str, str]] = []
        self._try({}, lambda: found.extend(self.gateway.groups()), None)
        return found

    def take_failures(self) -> Totals:
        """What failed since it was taken last, to be written down."""
        with self._lock:
            taken, self._failures = self._failures, Totals()
        return taken

    def give_back(self, failures: Totals) -> None:
        """They could not be written down after all."""
        with self._lock:
            self._failures.add(failures)

    def _try(self, key: Mapping[str, str], work: Callable[[], None], log: Logger | None) -> bool | None:
        name = "/".join(key.values())
        if self.resting or self.clock() < self._rests.get(name, 0.0):
            return None
        try:
            work()
        except PushFailed as error:
            self._failed(name if error.reason == "refused" else _ALL, error, log or self.log)
            return None
        self._worked(name, log or self.log)
        return True

    def _failed(self, name: str, error: PushFailed, log: Logger) -> None:
        with self._lock:
            first = not self._rests
            self._rests[name] = self.clock() + REST_SECONDS
            self._failures.count("millrace_push_failures_total", error.reason)
        if first:
            log.warning(
                "metrics are not pushed: the Pushgateway fails (%s); the next try is in %.0f s", error, REST_SECONDS
            )

    def _worked(self, name: str, log: Logger) -> None:
        with self._lock:
            failed, forgotten = bool(self._rests), self.clock() - _FORGOTTEN_SECONDS
            self._rests = {n: at for n, at in self._rests.items() if n not in (_ALL, name) and at > forgotten}
            well = failed and not self._rests
        if well:
            log.info("metrics are pushed again")
