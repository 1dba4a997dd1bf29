"""What a producer is asked to do, as frozen values that were checked when they were made.

What belongs here: the knobs of `run`, their defaults and limits. What does not: where their values come from
(the command line, a test, the demo) and anything that acts on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from contract.contract import Contract

# Above this many events a second sessions get quicker instead of more numerous: every visitor costs memory.
MAX_NATURAL_RATE = 5_000.0
# The pace at which simulated time flows when the machine, not a rate, sets the limit.
UNPACED_RATE = 1_000.0


class ProducerError(Exception):
    """The producer cannot work; the text is one line for a person."""


class TopicMissingError(ProducerError):
    """The broker answers, but has no such topic."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Which part of all messages, 0 to 1 each, is something other than a valid event in its turn."""

    duplicates: float = 0.0
    late: float = 0.0
    out_of_order: float = 0.0
    invalid: float = 0.0
    tombstones: float = 0.0

    def __post_init__(self) -> None:
        for share in fields(self):
            if not 0.0 <= getattr(self, share.name) <= 1.0:
                raise ValueError(f"{share.name}: expected a share from 0 to 1")
        if self.total > 1.0 + 1e-9:
            raise ValueError(f"the shares add up to {self.total:g}; together they may be at most 1")

    @property
    def total(self) -> float:
        """The part of all messages that is not a valid event in its turn."""
        return self.duplicates + self.late + self.out_of_order + self.invalid + self.tombstones


@dataclass(frozen=True, slots=True)
class ProducerConfig:
    """One invocation of the producer; without `count` and `duration` (seconds) it goes on until stopped.

    `rate` is in messages a second, 0 for as fast as possible; `seed` fixes what is sent, event ids
    included, so the same seed twice means duplicates. `users` defaults to what keeps the rate with
    believable people.
    """

    bootstrap_servers: str
    topic: str = "user-events"
    rate: float = 1_000.0
    count: int | None = None
    duration: float | None = None
    seed: int | None = None
    users: int | None = None
    shares: Shares = field(default_factory=Shares)
    rhythm: bool = False
    fast: bool = False
    ledger: Path | None = None
    contract: Contract = field(default_factory=Contract)
    kafka_options: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    connect_timeout: float = 10.0
    delivery_timeout: float = 120.0

    def __post_init__(self) -> None:
        if self.rate < 0 or self.rate > 10_000_000:
            raise ValueError("rate: expected 0 (as fast as possible) to 10,000,000 events a second")
        if (self.count is not None and self.count < 0) or (self.duration is not None and self.duration < 0):
            raise ValueError("count and duration cannot be negative")
        if self.users is not None and self.users < 1:
            raise ValueError("users: expected at least 1")
        if self.fast and self.shares.total:
            raise ValueError("fast mode sends valid events only; leave it out to mix in other shares")

    @property
    def natural_rate(self) -> float:
        """Events a second for which the simulation keeps enough sessions going."""
        return min(self.rate or UNPACED_RATE, MAX_NATURAL_RATE)

    @property
    def population(self) -> int:
        """How many people there are; by default most of them are away at any time."""
        return self.users or max(10_000, round(self.natural_rate * 30))
