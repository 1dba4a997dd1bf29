"""How far a rebuild is, in words.

What belongs here: when something is said, and what. What does not: to whom (`assets` to Dagster's log, the command line
to a terminal).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_EVERY_SECONDS = 2.0


def describe(done: int, of: int, seconds: float) -> str:
    """One line: events done, percent, how long the rest takes at this speed."""
    if not of or not done:
        return f"{done:,} of {of:,} events"
    left = seconds / done * (of - done)
    rest = f", about {left:,.0f} s left" if done < of else ""
    return f"{done:,} of {of:,} events ({done / of:.0%}), {done / max(seconds, 1e-9):,.0f} events/s{rest}"


@dataclass
class RebuildProgress:
    """Says how far it is, every two seconds at most."""

    say: Callable[[str], object]
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _said: float = field(init=False)

    def __post_init__(self) -> None:
        """The clock runs from now on."""
        self._began = self._said = self.clock()

    def __call__(self, done: int, of: int) -> None:
        """Called by the engine after every part of its work."""
        moment = self.clock()
        if moment - self._said >= _EVERY_SECONDS or done >= of:
            self._said = moment
            self.say(describe(done, of, moment - self._began))
