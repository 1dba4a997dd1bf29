"""How much a refresh takes in at once: less after a failure, more after a success that was quick.

What belongs here: the bounds of one transaction and how they move, and the end of one that takes too long. What does
not: which marks are taken (`marks`).
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from resources.postgres import Connection

LONGEST_SECONDS = 150.0
"""Of one transaction of a refresh: three tries and what came before them end before the run's maximum of 10 minutes."""
_QUICK_SECONDS, _SLOW_SECONDS = 3.0, 6.0  # a fresh hour waits for two transactions at most: see MILLRACE_FRESHNESS
_START = 20_000
_EVENTS_A_MARK, _EVENTS_AN_HOUR = 4, 10  # a mark and an hour have costs of their own, whatever they hold


class Bounds(NamedTuple):
    """At most so much in one transaction; one mark at least."""

    events: int
    marks: int
    hours: int


UNBOUNDED = Bounds(1 << 62, 1 << 62, 1 << 62)


@dataclass
class Pace:
    """The bounds of the next transaction, from what the last ones took. Not kept: a new process begins anew."""

    events: int = _START

    def bounds(self, most: int) -> Bounds:
        """Of the next transaction, in which at most `most` events are wanted."""
        self.events = max(1, min(self.events, most))
        return Bounds(self.events, self.events // _EVENTS_A_MARK + 1, self.events // _EVENTS_AN_HOUR + 1)

    def took(self, done: Bounds, seconds: float) -> None:
        """A transaction was committed.

        What a small one took says nothing about larger ones. Smaller ones than at the start are no remedy for a slow
        machine: each touches most users, so many small ones take longer. Nor are they for a single large mark.
        """
        filled = any(each > most // 2 for each, most in zip(done, self.bounds(self.events), strict=True))
        if seconds < _QUICK_SECONDS and filled:
            self.events *= 2
        elif seconds > _SLOW_SECONDS and done.marks > 1:
            self.events = max(min(self.events, _START), self.events // 2)

    def failed(self) -> None:
        """A transaction failed; whatever the reason was, a smaller one is the likelier to pass."""
        self.events //= 8


@contextmanager
def ended_after(connection: Connection, seconds: float) -> Generator[None]:
    """Cancel what a transaction of this connection does when it takes longer; it fails then as with a time-out.

    The server's own time-out is for one statement, and for the case that this process is gone.
    """
    timer = threading.Timer(seconds, connection.cancel)
    timer.daemon = True
    connection.execute(f"set local statement_timeout = {round(seconds * 1000)}".encode())
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a cancellation that is on its way must not meet the next transaction
