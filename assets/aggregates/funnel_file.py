"""The file of the funnel's steps: read, and refused in one line where no event could take a step.

What belongs here: the file's shape and what is wrong with one. What does not: what follows from the steps (`funnel`).
"""

import codecs
import math
import tomllib
from collections import Counter
from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import Any

from assets.aggregates.funnel import Funnel, FunnelStep
from contract.contract import Contract

_SHAPE = "each with name, type and, where wanted, payload"
_MOST_STEPS = 20
_DEEPEST = 60


class FunnelError(Exception):
    """The funnel's file cannot be used; the text says what is wrong with it, in one line."""


def read(path: Path | None = None, known: Collection[str] | None = None) -> Funnel:
    """The funnel of a file, by default the one that Millrace brings.

    Args:
        path: a TOML file in UTF-8.
        known: the types of events that there are; by default those of the contract.

    Raises:
        FunnelError: the file cannot be read, is no TOML, or describes no steps that events could take.
    """
    try:
        content = path.read_bytes() if path else resources.files(__package__ or "").joinpath("funnel.toml").read_bytes()
    except OSError as error:
        raise FunnelError(f"the funnel's file cannot be read: {error.strerror}") from None
    described = _document(content).get("step")
    if not isinstance(described, list):
        raise FunnelError(f"the funnel's file must have [[step]] tables, {_SHAPE}")
    entries: list[Any] = described  # pyright: ignore[reportUnknownVariableType] - checked one by one
    if not 1 <= len(entries) <= _MOST_STEPS:
        raise FunnelError(f"a funnel has 1 to {_MOST_STEPS} steps, not {len(entries)}")
    types = Contract() if known is None else known
    steps = tuple(_step(n, entry, types) for n, entry in enumerate(entries, start=1))
    if twice := [name for name, times in Counter(step.name for step in steps).items() if times > 1]:
        raise FunnelError(f"two steps of the funnel have the name {twice[0]!r}; give each a name of its own")
    return Funnel(steps)


def _document(content: bytes) -> dict[str, Any]:
    if content.startswith(codecs.BOM_UTF8):
        raise FunnelError("the funnel's file begins with a byte order mark; save it as UTF-8 without one")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise FunnelError(f"the funnel's file is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise FunnelError(f"the funnel's file is no valid TOML: {reason}") from None


def _step(number: int, entry: object, known: Collection[str]) -> FunnelStep:
    """One [[step]], with every value that could not be compared with an event's refused."""
    place = f"step {number} of the funnel"
    if not isinstance(entry, dict):
        raise FunnelError(f"{place} is no table; write [[step]], {_SHAPE}")
    given: dict[str, Any] = entry  # pyright: ignore[reportUnknownVariableType] - TOML's keys are text
    if unknown := sorted(given.keys() - {"name", "type", "payload"}):
        raise FunnelError(f"{place} has the unknown key {unknown[0]!r}; there are name, type, payload")
    for key in ("name", "type"):
        text = given.get(key)
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            raise FunnelError(f"{place} needs a {key}: text, not empty, without control characters")
    if given["type"] not in known:
        raise FunnelError(f"{place} has the unknown type {given['type']!r}; there are {', '.join(known)}")
    payload = given.get("payload", {})
    if not isinstance(payload, dict):
        raise FunnelError(f"{place}: payload must be a table of fields and their values")
    _refuse_what_is_no_json(f"{place}: payload", payload)
    return FunnelStep(given["name"], given["type"], payload)


def _refuse_what_is_no_json(place: str, value: object, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise FunnelError(f"{place} is nested more than {_DEEPEST} levels deep, which no stored event is")
    if isinstance(value, dict):
        members: dict[str, Any] = value
        for name, member in members.items():
            _refuse_what_is_no_json(f"{place}: a field's name", name)
            _refuse_what_is_no_json(f"{place}.{name}"[:200], member, depth + 1)
    elif isinstance(value, list):
        elements: list[Any] = value
        for element in elements:
            _refuse_what_is_no_json(place, element, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise FunnelError(f"{place} is {value}, which no event can hold; use a finite number")
    elif isinstance(value, str) and "\0" in value:
        raise FunnelError(f"{place!r} holds U+0000, which no stored event can hold")
    elif not isinstance(value, str | bool | int | float):
        raise FunnelError(f"{place} is a {type(value).__name__}, which JSON does not have; write it as text in quotes")
