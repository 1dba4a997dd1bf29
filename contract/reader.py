"""Python's JSON reader, made strict: it marks what a dict and a float would hide.

Python's scanner is RFC 8259 but for NaN and the infinities, which are refused here; it hands over numbers as text.

What belongs here: the marks, and finding them again. What does not: which of them matter (`document`, `strict`).
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from json import JSONDecoder
from typing import NamedTuple, NoReturn, cast

from contract.codes import RejectionCode
from contract.json_limits import fits
from contract.reasons import InvalidEvent

Step = str | int
Steps = tuple[Step, ...]


class Repeated(dict[str, object]):
    """An object in which a key occurs twice."""

    key: str


class Unfit(NamedTuple):
    """A number that is too long when written out."""

    text: str

    def __str__(self) -> str:
        return self.text


class Reader(JSONDecoder):
    """Python's decoder with hooks that mark repeated keys and unfit numbers, and tell whether there were any."""

    def __init__(self) -> None:
        self.repeated = self.unfit = False
        super().__init__(
            object_pairs_hook=self._object, parse_int=self._int, parse_float=self._float, parse_constant=_constant
        )

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        self.repeated = True
        seen: set[str] = set()
        repeated = Repeated(members)
        repeated.key = next(name for name, _ in pairs if name in seen or seen.add(name))
        return repeated

    def _int(self, text: str) -> int | Unfit:
        return int(text) if fits(text) else self._mark(text)

    def _float(self, text: str) -> Decimal | Unfit:
        return Decimal(text) if fits(text) else self._mark(text)

    def _mark(self, text: str) -> Unfit:
        self.unfit = True
        return Unfit(text)


def _constant(name: str) -> NoReturn:
    raise not_json(f"{name}, which JSON does not have")


def not_json(found: str) -> InvalidEvent:
    """The refusal of what is no JSON document."""
    return InvalidEvent(RejectionCode.NOT_JSON, "$", "a JSON document", found)


def find(value: object, is_fault: Callable[[object], bool]) -> tuple[Steps, object] | None:
    """The first faulty value or key in the order of the document, and the way to it; outer ones before inner ones."""
    if is_fault(value):
        return (), value
    pairs: Iterable[tuple[Step, object]] = ()
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        pairs = enumerate(cast("list[object]", value))
    for step, inner in pairs:
        if is_fault(step):
            return (step,), step
        if found := find(inner, is_fault):
            return (step, *found[0]), found[1]
    return None
