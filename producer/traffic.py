"""The messages to send, one after the other: simulated events with the disturbances that real traffic has.

What belongs here: which message comes next and what it is called in the sent log. What does not: when it is sent
(`timing`) and how (`sender`).
"""

from collections import deque
from random import Random

import msgspec

from producer.config import ProducerConfig
from producer.encoding import EventIds, encode, message
from producer.invalid_messages import InvalidMessages
from producer.message_mix import MessageKind, MessageMix
from producer.population import Population
from producer.sessions import others
from producer.simulation import SimulatedEvent, Simulation
from producer.timing import lag

_RECENT = 5_000
_KEPT = 2_000
_KEEPS = 0.02

# Half of the duplicates come at once and most of the rest soon. One in ten goes to any partition, as from a second
# client with another partitioner: two lanes then meet the same id.
_AT_ONCE = 0.5
_SOON = 0.85
_STRAYS = 0.1


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message to send and what the ledger calls it; `stray` (0 to 1) picks a partition whatever the key."""

    kind: str
    type: str
    event_id: str
    key: bytes
    value: bytes | None
    stray: float | None = None


class Traffic:
    """Messages without end; the same seed and times give the same bytes."""

    def __init__(self, config: ProducerConfig, seed: int) -> None:
        people, rate, shares = Population(config.population), config.natural_rate, config.shares
        self._rng = Random(f"{seed} traffic")
        self._mix = MessageMix(shares, Random(f"{seed} deck"), rate, config.count)
        self._ids = EventIds(f"{seed} ids")
        self._live = Simulation(people, f"{seed} live", rate, more=others(config.contract))
        self._offline = Simulation(people, f"{seed} late", rate * shares.late, lag=lag)
        self._broken = Simulation(people, f"{seed} broken", rate * shares.invalid)
        self._damage = InvalidMessages(Random(f"{seed} damage"))
        self._held: dict[int, Outgoing] = {}
        self._recent: deque[Outgoing] = deque(maxlen=_RECENT)
        self._kept: list[Outgoing] = []

    def next(self, at_us: int) -> Outgoing:
        """The message of this moment."""
        chosen = self._mix.draw()
        for number in chosen.early:
            # It happens a microsecond before the event that overtakes it.
            self._held[number] = self._well_formed("out_of_order", self._live.next(at_us - 1))
        found = self._message(chosen, at_us)
        if chosen.kind in ("valid", "late", "out_of_order"):
            self._remember(found)
        return found

    def _message(self, chosen: MessageKind, at_us: int) -> Outgoing:
        match chosen.kind:
            case "out_of_order":
                return self._held.pop(chosen.number)
            case "late":
                return self._well_formed("late", self._offline.next(at_us))
            case "invalid":
                return self._invalid(at_us)
            case "tombstone":
                return Outgoing("tombstone", "", "", self._broken.next(at_us).user_id.encode(), None)
            case "duplicate" if self._recent:
                return self._again()
            case _:
                return self._well_formed("valid", self._live.next(at_us))

    def _well_formed(self, kind: str, event: SimulatedEvent) -> Outgoing:
        event_id = self._ids.next()
        return Outgoing(kind, event.type, event_id, event.user_id.encode(), encode(message(event, event_id)))

    def _invalid(self, at_us: int) -> Outgoing:
        event, event_id = self._broken.next(at_us), self._ids.next()
        code, value = self._damage.next(message(event, event_id))
        told = event_id if event_id.encode() in value else ""
        return Outgoing(f"invalid:{code}", event.type, told, event.user_id.encode(), value)

    def _again(self) -> Outgoing:
        when = self._rng.random()
        if when < _AT_ONCE:
            first = self._recent[-1]
        elif when < _SOON or not self._kept:
            first = self._recent[self._rng.randrange(len(self._recent))]
        else:
            first = self._kept[self._rng.randrange(len(self._kept))]
        stray = self._rng.random() if self._rng.random() < _STRAYS else None
        return Outgoing("duplicate", first.type, first.event_id, first.key, first.value, stray)

    def _remember(self, sent: Outgoing) -> None:
        self._recent.append(sent)
        if self._rng.random() < _KEEPS:
            if len(self._kept) < _KEPT:
                self._kept.append(sent)
            else:
                self._kept[self._rng.randrange(_KEPT)] = sent
