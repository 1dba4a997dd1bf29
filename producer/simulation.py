"""Many visits at once, as one stream of events in the order in which they happen.

What belongs here: who is on the site, when the next visit begins, whose turn it is. What does not: the wall
clock. The simulation has a clock of its own, which only decides the order; every event is stamped with the
time that the caller hands in, so a rate is kept exactly and a stamp is never ahead of its sending.
"""

from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple

from contract.contract import EventType
from producer.population import Population, User
from producer.sessions import VisitStep, mean_events, visit
from producer.site import Site
from producer.timing import busyness

# Pages a visit, averaged over the day. At a steady rate of events there can only be more visits in the
# afternoon than at night when those of the night are longer, so they are.
_VIEWS = 5.0
_TRIES = 8

# In the first minute and a half of simulated time fewer visits begin. The caller wants its events all the
# same, so this time passes quickly, and the first second is not all logins.
_SLOW_START, _STARTED = 0.05, 90.0


class SimulatedEvent(NamedTuple):
    """Something a user did; not yet bytes."""

    type: str
    user_id: str
    payload: dict[str, Any]
    at_us: int


class _Visitor:
    __slots__ = ("lag_us", "login_us", "next", "steps", "user_id")

    def __init__(self, user_id: str, steps: Iterator[VisitStep], lag_us: int) -> None:
        self.user_id = user_id
        self.steps = steps
        self.next = next(steps)
        self.lag_us = lag_us
        self.login_us = 0


class Simulation:
    """Visits by a population; `next` gives what happens next.

    Args:
        population: who may visit. Nobody is here twice at a time.
        seed: the same seed and the same times asked for give the same events.
        rate: events a second for which enough visits are kept going.
        more: types of events that are sent by their example.
        lag: how many microseconds before the time asked for a visit happened, drawn once a visit.
    """

    def __init__(
        self,
        population: Population,
        seed: str,
        rate: float,
        *,
        more: Sequence[EventType] = (),
        lag: Callable[[Random, int], int] | None = None,
    ) -> None:
        self._population = population
        self._rng = Random(seed)
        self._site = Site()
        self._rate = max(rate, 0.01)
        self._lag = lag
        self._more = more
        self._waiting: list[tuple[float, int, _Visitor]] = []
        self._here: set[str] = set()
        self._arrival = 0.0
        self._visits = 0

    def next(self, at_us: int) -> SimulatedEvent:
        """The next event, stamped with the time given (less the visit's lag)."""
        while not self._waiting or self._arrival <= self._waiting[0][0]:
            self._arrive(at_us)
        now, number, visitor = heappop(self._waiting)
        step, stamp = visitor.next, at_us - visitor.lag_us
        if step.type == "login":
            visitor.login_us = stamp
        elif step.type == "logout":
            step.payload["duration"] = round((stamp - visitor.login_us) / 1e6, 3)
        self._go_on(now, number, visitor)
        return SimulatedEvent(step.type, visitor.user_id, step.payload, stamp)

    def _go_on(self, now: float, number: int, visitor: _Visitor) -> None:
        following = next(visitor.steps, None)
        if following is None:
            self._here.discard(visitor.user_id)
            return
        visitor.next = following
        heappush(self._waiting, (now + following.think, number, visitor))

    def _arrive(self, at_us: int) -> None:
        """Let one visit begin, unless everybody is here already; then time goes on until somebody leaves."""
        lag_us = self._lag(self._rng, at_us) if self._lag else 0
        busy = busyness(at_us - lag_us)
        user = self._somebody_away()
        if user is not None:
            self._here.add(user.user_id)
            steps = visit(self._rng, user, self._site, _VIEWS / busy, self._more)
            heappush(self._waiting, (self._arrival, self._visits, _Visitor(user.user_id, steps, lag_us)))
            self._visits += 1
        elif len(self._here) >= self._population.size:
            self._arrival = self._waiting[0][0]
        started = min(1.0, _SLOW_START + self._arrival / _STARTED)
        self._arrival += self._rng.expovariate(started * self._rate / mean_events(_VIEWS / busy))

    def _somebody_away(self) -> User | None:
        for _ in range(_TRIES if len(self._here) < self._population.size else 0):
            user = self._population.pick(self._rng)
            if user.user_id not in self._here:
                return user
        return None
