"""The highest steady rate at which nothing falls behind: producer, ingest and aggregates on the same cores.

What belongs here: the search for the rate, and how old ingest and tables become meanwhile. What does not: the traffic
(`traffic`), the latency of single events (`latency`).
"""

import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple, cast

import numpy as np

from assets.aggregates.catalog import AGGREGATES, FILLED
from benchmarks.rig import Rig
from monitoring.metrics.sql import statement
from orchestration.factories import make_kafka
from resources.kafka import Kafka

_GROUPS = {"tables": [*FILLED], "groups": [AGGREGATES[name].group for name in FILLED]}

_LAG, _AGE = 2.0, 15.0
_WARM_UP = 10.0
_EVERY = 0.5
_CLOSE_ENOUGH, _STEPS, _LOWEST = 1.15, 9, 100.0
_DRAINED_WITHIN = 600.0
_OFFSETS = "select partition, next_offset from ops.offsets"


class Sample(NamedTuple):
    """Seconds by which ingest is behind, and how old the oldest table is."""

    lag: float
    age: float
    table: str


class Step(NamedTuple):
    """What became of one rate."""

    rate: float
    samples: Sequence[Sample]
    asked: float

    @property
    def holds(self) -> bool:
        """Whether it was produced, and ingest and tables kept up; what few samples say of the lag is noise."""
        lag, age = self.quantile("lag", 0.95), self.quantile("age", 1.0)
        return self.rate >= 0.97 * self.asked and lag <= _LAG and age <= _AGE

    def quantile(self, which: str, part: float) -> float:
        """Of the lag or the age."""
        return float(np.quantile([getattr(sample, which) for sample in self.samples], part))


def measure(rig: Rig, first: float, seconds: int) -> None:
    """Print every step and the highest rate that held.

    Args:
        rig: a stack with default settings.
        first: the rate of the first step; from there it is doubled or halved, then bisected.
        seconds: length of each step.
    """
    print(f"  holds: lag of ingest at most {_LAG:.0f} s (95 of 100 samples), every table at most {_AGE:.0f} s old")
    watch = Watch(rig, make_kafka(rig.settings))
    held, failed, rate = 0.0, float("inf"), float(first)
    for _ in range(_STEPS):
        step = _step(rig, watch, rate, seconds)
        drained = watch.drained()
        _print(step, drained)
        held, failed = (max(held, step.rate), failed) if step.holds else (held, min(failed, rate))
        if drained is None or failed < _LOWEST or (held and failed / held <= _CLOSE_ENOUGH):
            break
        rate = 2 * rate if failed == float("inf") else (held + failed) / 2 if held else rate / 2
    print(f"  highest rate that held: {held:,.0f} events/s (target at least 20,000)")


def _step(rig: Rig, watch: "Watch", rate: float, seconds: int) -> Step:
    command = [sys.executable, "-m", "benchmarks.traffic", "--rate", str(rate), "--seconds", str(seconds + _WARM_UP)]
    with subprocess.Popen(command, env=dict(rig.environment), stdout=subprocess.PIPE, text=True) as producer:
        said = cast("IO[str]", producer.stdout)
        said.readline()
        began, samples = time.monotonic(), list[Sample]()
        while producer.poll() is None:
            sample = watch.sample()
            if _WARM_UP < time.monotonic() - began < _WARM_UP + seconds:
                samples.append(sample)
            time.sleep(_EVERY)
        summary = json.loads(said.readline())
    if summary["failed"]:
        raise RuntimeError(f"{summary['failed']} messages were not acknowledged: this measures nothing")
    return Step(summary["sent"] / summary["seconds"], samples, rate)


@dataclass
class Watch:
    """Looks at the ends of the partitions, at what is committed of them, and at the age of the tables."""

    rig: Rig
    kafka: Kafka
    ends: dict[int, deque[tuple[float, int]]] = field(default_factory=dict[int, deque[tuple[float, int]]])

    def sample(self) -> Sample:
        """How it is now. An offset is as old as the first look that found it, so the lag is right to half a second."""
        self._look()
        with self.rig.connect() as connection:
            committed = dict(connection.execute(_OFFSETS).fetchall())
            ages = connection.execute(statement("staleness"), _GROUPS).fetchall()
        now = time.monotonic()
        age, table = max(((age, table) for table, age in ages), default=(0.0, ""))
        return Sample(max((self._behind(p, committed.get(p, 0), now) for p in self.ends), default=0.0), age, table)

    def drained(self) -> float | None:
        """Seconds until nothing is behind; None: it takes too long."""
        began = time.monotonic()
        while (sample := self.sample()).lag or sample.age:
            if time.monotonic() - began > _DRAINED_WITHIN:
                return None
            time.sleep(_EVERY)
        return time.monotonic() - began

    def _look(self) -> None:
        now = time.monotonic()
        for found in self.kafka.available(self.rig.settings.kafka_topics):
            seen = self.ends.setdefault(found.partition, deque([(now, 0)]))
            if found.high > seen[-1][1]:
                seen.append((now, found.high))

    def _behind(self, partition: int, committed: int, now: float) -> float:
        seen = self.ends[partition]
        while len(seen) > 1 and seen[0][1] <= committed:
            seen.popleft()
        at, end = seen[0]
        return now - at if end > committed else 0.0


def _print(step: Step, drained: float | None) -> None:
    oldest = max(step.samples, key=lambda sample: sample.age).table
    figures = "   ".join(
        f"{name} p50 {step.quantile(which, 0.5):.1f} s, p95 {step.quantile(which, 0.95):.1f} s, "
        f"max {step.quantile(which, 1.0):.1f} s"
        for name, which in (("lag", "lag"), (f"oldest table ({oldest})", "age"))
    )
    rest = f"not drained after {_DRAINED_WITHIN:.0f} s" if drained is None else f"drained {drained:.0f} s later"
    print(f"  {step.rate:7,.0f} events/s {'holds' if step.holds else 'fails'}: {figures}; {rest}", flush=True)
