"""Who visits: users with their usual devices and addresses, some of them far more active than others.

What belongs here: what is true of a person from visit to visit, whatever the seed, so that a second run of
the producer does not make every device look new. What does not: what they do on the site (`sessions`).
"""

from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from itertools import accumulate
from random import Random

DEVICES = (
    "Chrome on Windows",
    "Safari on iPhone",
    "Chrome on Android",
    "Chrome on macOS",
    "Safari on macOS",
    "Edge on Windows",
    "Firefox on Linux",
    "Safari on iPad",
    "Firefox on Windows",
    "Samsung Internet on Galaxy S24",
)
_DEVICE_WEIGHTS = (30, 24, 18, 10, 8, 5, 2, 2, 1, 1)

# Addresses that belong to nobody: carrier NAT (RFC 6598) and the documentation ranges (RFC 5737, RFC 3849).
_CARRIER = int(IPv4Address("100.64.0.0"))
_OFFICES = (int(IPv4Address("203.0.113.0")), int(IPv4Address("198.51.100.0")))
_IPV6 = int(IPv6Address("2001:db8::"))
_HALF_CARRIER = 1 << 21

# One in eight works in an office whose people share an address.
_OFFICE_SHARE = 0.125
_IPV6_SHARE = 0.2
_OTHER_DEVICE = 0.08
_ROAMING = 0.12


@dataclass(frozen=True, slots=True)
class User:
    """A person with a usual and an occasional device, and a usual address."""

    user_id: str
    devices: tuple[str, str]
    ip: str

    def surroundings(self, rng: Random) -> tuple[str, str]:
        """The device and the address of one visit: the usual ones, now and then others."""
        device = self.devices[rng.random() < _OTHER_DEVICE]
        if rng.random() < _ROAMING:
            return device, str(IPv4Address(_CARRIER + _HALF_CARRIER + rng.randrange(_HALF_CARRIER)))
        return device, self.ip


@lru_cache(maxsize=50_000)
def user(number: int) -> User:
    """The person with that number: always the same one."""
    rng = Random(f"user {number}")
    devices = rng.choices(DEVICES, _DEVICE_WEIGHTS, k=2)
    return User(f"u{number:06d}", (devices[0], devices[1]), _address(rng, number))


def _address(rng: Random, number: int) -> str:
    if rng.random() < _OFFICE_SHARE:
        office = (number // 100) % 508
        return str(IPv4Address(_OFFICES[office % 2] + 1 + office // 2))
    if rng.random() < _IPV6_SHARE:
        return str(IPv6Address(_IPV6 + (number << 64) + rng.getrandbits(32)))
    return str(IPv4Address(_CARRIER + number % _HALF_CARRIER))


class Population:
    """So many people, the activity of whom falls with their rank (Zipf-Mandelbrot)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._cumulated = list(accumulate(1.0 / (rank + 5) for rank in range(size)))
        # The busiest are scattered over the numbers: a rank is no part of a name.
        self._stride = 7919 if size % 7919 else 1

    def pick(self, rng: Random) -> User:
        """Somebody, the active ones more often."""
        rank = bisect(self._cumulated, rng.random() * self._cumulated[-1])
        return user((min(rank, self.size - 1) * self._stride + 101) % self.size)
