"""Numbers as people read them, by Grafana's names of units; and one scale for a whole axis.

What belongs here: formats of values. What does not: colours, shapes.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

_BINARY = ((1, "B"), (2**10, "KiB"), (2**20, "MiB"), (2**30, "GiB"), (2**40, "TiB"))
_SHORT = ((1, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))
_TIME = ((1e-6, "µs"), (1e-3, "ms"), (1, "s"), (60, "min"), (3600, "h"), (86_400, "d"))
_RATES = {"eps": "events/s", "recps": "records/s", "ops": "/s", "rps": "/s"}


class Scale(NamedTuple):
    """By what values are divided, and what they are called then."""

    divisor: float
    name: str


def scale(unit: str, values: Iterable[float]) -> Scale:
    """The scale that suits the largest of the values."""
    largest = max((abs(value) for value in values), default=0)
    if unit in ("percentunit", "percent"):
        return Scale(0.01 if unit == "percentunit" else 1, "%")
    if unit == "d":
        return Scale(1, "d")
    if unit == "s":
        return _largest(_TIME, largest) if largest else Scale(1, "s")
    if unit in ("bytes", "binBps"):
        found = _largest(_BINARY, largest)
        return Scale(found.divisor, found.name + ("/s" if unit == "binBps" else ""))
    found = _largest(_SHORT, largest if largest >= 10_000 else 0)
    return Scale(found.divisor, f"{found.name} {_RATES[unit]}".strip() if unit in _RATES else found.name)


def _largest(steps: Iterable[tuple[float, str]], value: float) -> Scale:
    listed = [Scale(divisor, name) for divisor, name in steps]
    return next((each for each in reversed(listed) if value >= each.divisor), listed[0])


def rounded(value: float) -> float:
    """To four digits that count: nobody sees more of them in a picture."""
    return float(f"{value:.4g}") if abs(value) < 1000 else round(value)


def shown(unit: str, value: Any) -> str:
    """A value as text, with its unit."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    found = scale(unit, [value])
    number = f"{rounded(value / found.divisor):,.10g}"
    return f"{number}{'' if found.name in ('%', 'k', 'M', 'G', 'T') or not found.name else ' '}{found.name}"
