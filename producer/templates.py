"""Fast mode: messages from templates, at several hundred thousand a second.

What belongs here: simulated events cut into what stays and what is new each time, the id and the timestamp.
What does not: anything about one message that takes a Python call.
"""

from functools import lru_cache
from random import Random

from producer.encoding import encode, event_ids, iso_second, message
from producer.population import Population
from producer.simulation import Simulation

_TEMPLATES = 20_000
_MARK = "@@@"
_S = 1_000_000
_APART_US = 1_000
# The first visits are all at their beginning; templates are taken once there is a mixture.
_WARM_UP = 10_000

ID_SLICE = slice(12, 48)
"""Where the event id is in a value made here."""


class Templates:
    """Events of a believable mixture, again and again, each time with new ids and the time given."""

    def __init__(self, population: int, seed: int, at_us: int, size: int = _TEMPLATES) -> None:
        simulation = Simulation(Population(population), f"{seed} live", _S / _APART_US)
        for number in range(_WARM_UP):
            simulation.next(at_us + number * _APART_US)
        self._rng = Random(f"{seed} ids")
        self._parts: list[tuple[bytes, bytes, bytes, str]] = []
        for number in range(_WARM_UP, _WARM_UP + size):
            event = simulation.next(at_us + number * _APART_US)
            body = {**message(event, _MARK), "timestamp": _MARK}
            _, middle, tail = encode(body).split(_MARK.encode(), 2)
            self._parts.append((event.user_id.encode(), middle, tail, event.type))
        self._next = 0

    def render(self, due: list[int]) -> list[tuple[bytes, bytes, str]]:
        """Key, value and type of a message for each of the times given."""
        count, parts = len(due), self._parts
        ids = event_ids(self._rng, count)
        chosen = [parts[number % len(parts)] for number in range(self._next, self._next + count)]
        self._next += count
        return [
            (key, b'{"eventId":"%b%b%b.%06dZ%b' % (ids[at : at + 36], middle, _second(us // _S), us % _S, tail), type_)
            for us, at, (key, middle, tail, type_) in zip(due, range(0, 36 * count, 36), chosen, strict=True)
        ]


@lru_cache(maxsize=64)
def _second(seconds: int) -> bytes:
    return iso_second(seconds).encode()
