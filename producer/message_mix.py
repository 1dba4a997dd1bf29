"""In which order the kinds of messages come: exact shares, random places.

What belongs here: the shuffled list of kinds. What does not: the messages (`traffic`).
"""

from bisect import bisect_left
from itertools import repeat
from random import Random
from typing import Literal, NamedTuple

from producer.config import Shares

Kind = Literal["valid", "duplicate", "late", "out_of_order", "invalid", "tombstone"]

_REACH = 40.0
_SMALLEST, _LARGEST, _SECONDS = 100, 20_000, 20


class MessageKind(NamedTuple):
    """What to send now.

    `number` counts the cards. `early` are the numbers of later cards whose events happen now and are held
    back: an out-of-order event is sent in the place of its own card, when later ones are gone.
    """

    number: int
    kind: Kind
    early: tuple[int, ...] = ()


class MessageMix:
    """Cards without end, shuffled block by block so that after each block every share is met exactly.

    Args:
        shares: of the kinds that are not valid events in their turn.
        rng: where the order comes from.
        rate: messages a second; a block is some twenty seconds of them.
        count: how many cards will be drawn in all, if that is known: then the last block ends there.
    """

    def __init__(self, shares: Shares, rng: Random, rate: float, count: int | None = None) -> None:
        self._parts: tuple[tuple[Kind, float], ...] = (
            ("duplicate", shares.duplicates),
            ("late", shares.late),
            ("out_of_order", shares.out_of_order),
            ("invalid", shares.invalid),
            ("tombstone", shares.tombstones),
        )
        self._rng = rng
        self._block = min(max(round(rate * _SECONDS), _SMALLEST), _LARGEST)
        self._count = count
        self._dealt = 0
        self._cards: list[MessageKind] = []

    def draw(self) -> MessageKind:
        """The next card."""
        if not self._cards:
            size = self._block if self._count is None else max(1, min(self._block, self._count - self._dealt))
            self._cards = self._shuffled(size)
            self._dealt += size
        return self._cards.pop()

    def _shuffled(self, size: int) -> list[MessageKind]:
        kinds: list[Kind] = []
        for kind, share in self._parts:
            due = round(share * (self._dealt + size)) - round(share * self._dealt)
            kinds.extend(repeat(kind, min(due, size - len(kinds))))
        kinds.extend(repeat("valid", size - len(kinds)))
        self._rng.shuffle(kinds)
        _begin_with_valid(kinds)
        early = self._origins(kinds)
        cards = [MessageKind(self._dealt + at, kind, tuple(early.get(at, ()))) for at, kind in enumerate(kinds)]
        cards.reverse()
        return cards

    def _origins(self, kinds: list[Kind]) -> dict[int, list[int]]:
        """For the places at which something happens that is sent later: the numbers of the later cards."""
        fresh = [at for at, kind in enumerate(kinds) if kind == "valid"]
        early: dict[int, list[int]] = {}
        for at, kind in enumerate(kinds):
            if kind == "out_of_order":
                before = bisect_left(fresh, at)
                back = min(int(self._rng.expovariate(1 / _REACH)), before - 1)
                early.setdefault(fresh[before - 1 - back], []).append(self._dealt + at)
        return early


def _begin_with_valid(kinds: list[Kind]) -> None:
    """Put a valid event first: it is what can be repeated, and what an out-of-order event comes after."""
    if "valid" in kinds:
        first = kinds.index("valid")
        kinds[0], kinds[first] = kinds[first], kinds[0]
    elif "out_of_order" in kinds or "duplicate" in kinds:
        kinds[0] = "valid"
