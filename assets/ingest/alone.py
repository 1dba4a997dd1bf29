"""Partitions of which nothing comes, read one at a time and batch by batch.

An answer of a broker holds records of several partitions, and many batches of each. Where a log is cut short the broker
promises bytes that it does not have, and the whole answer never ends: what is readable is as silent as what is not. So
each silent partition is read by a consumer of its own that asks for a single batch at a time; what is still silent then
is what cannot be read. What belongs here: whose turn it is, for how long. What does not: reading (`pull`).
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import Consumer

from resources.kafka import close

# A broker gives one batch at least, however little is asked for.
BATCH_BY_BATCH = {"fetch.message.max.bytes": 1, "client.id": "millrace-alone"}
# Of the time that a silent partition is waited for: all of it together, and one partition's share at most and at least.
_TOGETHER, _MOST, _LEAST = 0.8, 1 / 3, 1 / 15


@dataclass
class Alone:
    """Turns by the clock of polling. Without `make` nobody gets one. Not for use by two threads at once."""

    make: Callable[[], Consumer] | None
    stall_seconds: float
    reading: int | None = None
    seconds: float = 0.0
    """How long the one that is read may be silent."""
    tried: set[int] = field(default_factory=set[int])
    """All that were put on the list."""
    _waiting: deque[int] = field(default_factory=deque[int])
    _until: float | None = None
    _consumer: Consumer | None = None

    def takes(self, source: int) -> bool:
        """Put a silent partition on the list, unless it had its turn."""
        if self.make is None or source in self.tried:
            return False
        self.tried.add(source)
        self._waiting.insert(random.randint(0, len(self._waiting)), source)  # noqa: S311 - so that each comes first once
        return True

    def waits(self, source: int) -> bool:
        """Whether it is on the list, and read by nobody meanwhile."""
        return source in self._waiting

    def next(self, now: float) -> Consumer | None:
        """Whose turn it is now is `reading`; its consumer, or None where none is left."""
        self.end()
        if self.make is None or not self._waiting:
            return None
        self._until = now + _TOGETHER * self.stall_seconds if self._until is None else self._until
        fair = (self._until - now) / len(self._waiting)
        self.seconds = max(
            _LEAST * self.stall_seconds if self._until > now else 0.0, min(_MOST * self.stall_seconds, fair)
        )
        self.reading, self._consumer = self._waiting.popleft(), self.make()
        return self._consumer

    def end(self) -> None:
        """Close the consumer of the one that is read."""
        kept, self._consumer, self.reading = self._consumer, None, None
        if kept is not None:
            close(kept)
