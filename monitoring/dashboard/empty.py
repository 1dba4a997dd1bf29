"""Why a panel shows nothing, in words that say what to do. Pure.

What belongs here: the reasons. What does not: finding out what is so (`asking`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from monitoring.dashboard.boards import Panel

_SPANS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Facts:
    """What is known about the whole: whether there are any events, any metrics, and what is chosen.

    Attributes:
        since: the time range, as in `7d`.
        typed: what is typed into text fields, by their labels.
        lacks_choice: labels of text fields of which the panel needs one.
    """

    has_events: bool
    has_metrics: bool
    since: str
    typed: Mapping[str, str]
    lacks_choice: tuple[str, ...] = ()


def reason(panel: Panel, facts: Facts) -> str:
    """Why there is nothing to see."""
    if _asks(panel, "postgres"):
        if not facts.has_events:
            return "No events yet. Send some: millrace produce --rate 100 --duration 60s"
        return _of_tables(panel, facts)
    if panel.kind == "alertlist":
        return "No alert fires, and none is about to."
    if not facts.has_metrics:
        return "No metrics yet. Millrace pushes them every few seconds once it runs: millrace status"
    if "mpty is good" in panel.description:
        return "Nothing: that is good."
    if "Empty without traffic" in panel.description:
        return f"No traffic in the last {in_words(facts.since)}."
    return panel.defaults.get("noValue") or f"Nothing of this kind in the last {in_words(facts.since)}."


def _of_tables(panel: Panel, facts: Facts) -> str:
    if facts.lacks_choice:
        return f"Nobody is chosen. Type into {' or '.join(facts.lacks_choice)} above, or follow a link in a table."
    if facts.typed:
        chosen = " and ".join(f"{label} “{value}”" for label, value in facts.typed.items())
        return f"Nothing for {chosen} in the last {in_words(facts.since)}. Clear the field, or choose a longer time."
    if panel.kind == "stat" and (text := panel.defaults.get("noValue", "no data")) != "no data":
        return text
    return (
        f"Nothing in the last {in_words(facts.since)}. Choose a longer time; "
        "figures of a whole day or week come when it is over."
    )


def in_words(since: str) -> str:
    """`7d` as `7 days`."""
    number, unit = since[:-1], _SPANS[since[-1]]
    return f"{number} {unit}" if number != "1" else unit.removesuffix("s")


def _asks(panel: Panel, kind: str) -> bool:
    return any(target.kind == kind for target in panel.targets)
