"""How busy an hour is: fewer visits at night, most in the afternoon (UTC).

What belongs here: the curve, and what is drawn from it. What does not: when the next message is due (`pace`).
"""

import math
from random import Random

_DAY_US = 86_400_000_000
_PEAK = 15 / 24
_SWING = 0.6

_MINUTE_US = 60_000_000
_SHORTEST_LAG_US = 2 * _MINUTE_US
_LONGEST_LAG_US = 7 * _DAY_US


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
