"""When messages are due: evenly, not in bursts, or fewer at night than in the afternoon (UTC); and how late some come.

What belongs here: the schedule, the curve of a day, and what is drawn from it. What does not: sleeping and sending
(`runner`).
"""

import math
from random import Random

_SLIP_US = 1_000_000
_TICK, _LONGEST_WAIT = 0.010, 0.2
_DAY_US = 86_400_000_000
_PEAK = 15 / 24
_SWING = 0.6
_MINUTE_US = 60_000_000
_SHORTEST_LAG_US = 2 * _MINUTE_US
_LONGEST_LAG_US = 7 * _DAY_US


class Schedule:
    """A due time for every message, in microseconds since 1970.

    Whoever falls behind by more than a second does not catch up in a burst: the schedule slips.

    Args:
        rate: messages a second; 0 means that everything is due at once.
        start_us: when the first message is due.
        rhythm: let the rate follow the hour of the day; `rate` is then the day's mean.
    """

    def __init__(self, rate: float, start_us: int, *, rhythm: bool = False) -> None:
        self._rate = rate
        self._rhythm = rhythm
        self._due = float(start_us)

    def take(self, now_us: int, limit: int) -> list[int]:
        """The due times that have come, at most `limit`."""
        if not self._rate:
            return list(range(now_us, now_us + limit))
        interval = self._interval()
        if not now_us - _SLIP_US <= self._due <= now_us + interval + _SLIP_US:
            # Late, or the clock was set back.
            self._due = float(now_us - _SLIP_US) if self._due < now_us else float(now_us)
        due: list[int] = []
        while self._due <= now_us and len(due) < limit:
            due.append(int(self._due))
            self._due += interval
        return due

    def wait(self, now_us: int) -> float:
        """Seconds to wait before looking again: short enough to be smooth, long enough to be cheap."""
        if not self._rate:
            return 0.0
        ahead = (self._due - now_us) / 1e6
        return min(max(ahead, _TICK), _LONGEST_WAIT) if ahead > 0 else 0.0

    def _interval(self) -> float:
        return 1e6 / (self._rate * (busyness(int(self._due)) if self._rhythm else 1.0))


def busyness(at_us: int) -> float:
    """How many visits begin at this time, relative to the day's mean: 1.6 at 15:00, 0.4 at 03:00 UTC."""
    return 1.0 + _SWING * math.cos(2 * math.pi * ((at_us % _DAY_US) / _DAY_US - _PEAK))


def lag(rng: Random, at_us: int) -> int:
    """How long ago, in microseconds, a visit happened that is only reported now.

    Two minutes to seven days, short lags as likely as long ones on a logarithmic scale; of the long ones
    those that fall into a busy hour are likelier.
    """
    while True:
        found = round(math.exp(rng.uniform(math.log(_SHORTEST_LAG_US), math.log(_LONGEST_LAG_US))))
        if rng.random() * (1.0 + _SWING) < busyness(at_us - found):
            return found
