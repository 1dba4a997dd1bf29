"""Colours of the pages, light and dark, that people with any eyes can tell apart (after Okabe and Ito).

What belongs here: from Grafana's names of colours and from names of lines to colours. What does not: which line has a
colour with a meaning (`monitoring.grafana.colours`).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Palette:
    """What is drawn on one background. Each colour has a contrast of 3:1 to it at least, texts have 4.5:1."""

    text: str
    muted: str
    grid: str
    card: str
    named: Mapping[str, str]
    series: tuple[str, ...]
    ramp: tuple[str, ...]

    def colour(self, name: str) -> str:
        """A colour by Grafana's name of it, or as it is."""
        return self.named.get(name, self.named["grey"] if name.startswith("#") else self.named["blue"])


_DARK_SERIES = ("#56b4e9", "#e69f00", "#2fbf8f", "#cc79a7", "#f0e442", "#ff7f50", "#9f8fef", "#b0b0b0")
_LIGHT_SERIES = ("#0072b2", "#a66300", "#007a5a", "#a3437a", "#7a6f00", "#c04a00", "#5b4bc4", "#5f5f5f")
_DARK = {"green": "#2fbf8f", "orange": "#e69f00", "red": "#ff6b4a", "blue": "#56b4e9", "grey": "#a0a0a0"}
_LIGHT = {"green": "#007a5a", "orange": "#a66300", "red": "#c0392b", "blue": "#0072b2", "grey": "#6b6b6b"}
LIGHT = Palette("#1f2328", "#57606a", "#d8dee4", "#ffffff", _LIGHT, _LIGHT_SERIES, ("#eaf2fa", "#2f7dc0", "#08306b"))
DARK = Palette("#e6e6e6", "#a3adb8", "#343b43", "#1b1f24", _DARK, _DARK_SERIES, ("#1d2b38", "#2f7dc0", "#a6d4fa"))


def palette(*, dark: bool) -> Palette:
    """The one for a background."""
    return DARK if dark else LIGHT


def of_lines(names: Sequence[str], fixed: Mapping[str, str], on: Palette) -> dict[str, str]:
    """The same colour for the same name in every panel where that is possible; two lines of a panel never share one.

    `fixed` are names of lines whose colour has a meaning.
    """
    chosen = {name: on.colour(fixed[name]) for name in names if name in fixed}
    taken = set(chosen.values())
    for name in sorted(set(names) - set(fixed)):
        at = zlib.crc32(name.encode()) % len(on.series)
        turned = on.series[at:] + on.series[:at]
        chosen[name] = next((each for each in turned if each not in taken), turned[0])
        taken = taken | {chosen[name]} if len(taken) < len(on.series) else {chosen[name]}
    return chosen


def reached(steps: Sequence[Mapping[str, Any]], value: float) -> str:
    """Grafana's name of the colour of the last threshold that a value has reached."""
    found = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return found[-1] if found else "blue"
