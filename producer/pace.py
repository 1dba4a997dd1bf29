"""When messages are due: evenly, not in bursts.

What belongs here: the schedule. What does not: sleeping and sending (`runner`).
"""

from producer.rhythm import busyness

_SLIP_US = 1_000_000
_TICK, _LONGEST_WAIT = 0.010, 0.2


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
