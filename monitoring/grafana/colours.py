"""Colours by meaning: green is good, orange is worth a look, red is bad, blue says nothing about good or bad.

What belongs here: thresholds, and the colours of series whose name has a meaning. What does not: sizes and shapes.
"""

from collections.abc import Mapping
from types import MappingProxyType

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

GOOD, WARN, BAD, PLAIN, MUTED = "green", "orange", "red", "blue", "#8e8e8e"

# Series whose name says what they mean, wherever they are drawn.
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("stored", "success", "committed", "redis", "p50"), GOOD),
        **dict.fromkeys(("dead_letter", "failure", "failed", "refused", "capacity", "p99", "flagged"), BAD),
        **dict.fromkeys(("duplicate", "canceled", "postgres", "topic_replaced", "p95"), WARN),
        **dict.fromkeys(("tombstone", "erased", "expired", "already_committed", "a day before", "returning"), MUTED),
        **dict.fromkeys(("now", "new", "logins"), PLAIN),
    }
)


def rising(warn: float | None = None, bad: float | None = None) -> builders.ThresholdsConfig:
    """The higher the worse."""
    return _steps((None, GOOD), (warn, WARN), (bad, BAD))


def falling(bad: float, warn: float | None = None) -> builders.ThresholdsConfig:
    """The lower the worse: red below `bad`, orange below `warn`."""
    return _steps((None, BAD), (bad, GOOD if warn is None else WARN), (warn, GOOD))


def neutral() -> builders.ThresholdsConfig:
    """Neither good nor bad."""
    return _steps((None, PLAIN))


def _steps(first: tuple[None, str], *others: tuple[float | None, str]) -> builders.ThresholdsConfig:
    steps = [Threshold(None, first[1]), *(Threshold(value, colour) for value, colour in others if value is not None)]
    return builders.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def fixed(colour: str) -> list[DynamicConfigValue]:
    """The properties of a series that always has one colour."""
    return [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})]


def by_name() -> builders.FieldColor:
    """The same colour for the same name in every panel."""
    return builders.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME)


def by_threshold() -> builders.FieldColor:
    """The colour of the threshold that is reached."""
    return builders.FieldColor().mode(FieldColorModeId.THRESHOLDS)


def words(good: tuple[float, str], bad: tuple[float, str]) -> list[ValueMapping]:
    """Words instead of two values."""
    return [
        ValueMap(
            {
                f"{value:g}": ValueMappingResult(text=text, color=colour, index=index)
                for index, ((value, text), colour) in enumerate(((good, GOOD), (bad, BAD)))
            }
        )
    ]
