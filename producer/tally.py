"""How much was sent and what became of it: the running count, the progress, the summary at the end.

What belongs here: numbers. What does not: printing them (`display`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SendProgress:
    """How it stands a few times a second. `rate` is what was acknowledged a second of late.

    `trouble` is what Kafka's client complains about while nothing gets through.
    """

    seconds: float
    sent: int
    acknowledged: int
    failed: int
    rate: float
    trouble: str = ""

    @property
    def waiting(self) -> int:
        """How many messages are on their way."""
        return self.sent - self.acknowledged - self.failed


@dataclass(frozen=True, slots=True)
class Summary:
    """What one invocation did. The counts by class and type are of acknowledged messages."""

    topic: str
    seed: int
    seconds: float
    sent: int
    acknowledged: int
    failed: int
    rate: float
    by_class: Mapping[str, int]
    by_type: Mapping[str, int]
    errors: Mapping[str, int]
    interrupted: bool

    @property
    def complete(self) -> bool:
        """Whether Kafka acknowledged everything that was sent."""
        return self.acknowledged == self.sent


@dataclass(slots=True)
class SendCounts:
    """The running count."""

    sent: int = 0
    acknowledged: int = 0
    failed: int = 0
    by_class: Counter[str] = field(default_factory=Counter[str])
    by_type: Counter[str] = field(default_factory=Counter[str])
    errors: Counter[str] = field(default_factory=Counter[str])

    def count(self, kind: str, type_: str, error: str | None) -> None:
        """Count a delivery report: acknowledged, or failed with an error."""
        if error is not None:
            self.failed += 1
            self.errors[error] += 1
            return
        self.acknowledged += 1
        self.by_class[kind] += 1
        if type_:
            self.by_type[type_] += 1


class Speedometer:
    """The rate of the last second or two."""

    def __init__(self, now: float) -> None:
        self._marks: list[tuple[float, int]] = [(now, 0)]

    def rate(self, now: float, count: int) -> float:
        """Note the count and give the increase a second."""
        self._marks = [mark for mark in self._marks[:-1] if mark[0] > now - 2.0] + self._marks[-1:]
        then, before = self._marks[0]
        self._marks.append((now, count))
        return (count - before) / (now - then) if now > then else 0.0
