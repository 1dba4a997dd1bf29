"""What is due when, and what is said of it: pure.

What belongs here: decisions by a clock that is handed in. What does not: the thread (`reporter`).
"""

from collections.abc import Mapping
from typing import NamedTuple

from monitoring.metrics.names import Group

# In this order: what tells an outage first.
_ORDER: tuple[Group, ...] = ("health", "lag", "totals", "state", "storage")
_STORAGE_SECONDS = 30.0
_LEAST_WAIT = 0.2


class GroupPush(NamedTuple):
    """A group: when it was pushed last, and why it could not be since."""

    at: float | None = None
    problem: str | None = None


def every(interval: float) -> dict[Group, float]:
    """Seconds between two pushes of each group; that of the totals includes the lanes."""
    return {group: max(_STORAGE_SECONDS, interval) if group == "storage" else interval for group in _ORDER}


def due(now: float, tried: Mapping[Group, float], intervals: Mapping[Group, float]) -> list[Group]:
    """The groups whose time has come, in order."""
    return [group for group in _ORDER if _next(group, tried, intervals) <= now]


def wait(now: float, tried: Mapping[Group, float], intervals: Mapping[Group, float]) -> float:
    """Seconds until something is due; some at least, so that a turn that is put off does not spin."""
    return max(_LEAST_WAIT, min(_next(group, tried, intervals) for group in _ORDER) - now)


def explain(now: float, pushed: Mapping[Group, GroupPush], *, resting: bool) -> str:
    """What was pushed when, and what fails, for the UI."""
    if not pushed:
        return "the Pushgateway failed a moment ago; tried again soon" if resting else "the first push is under way"
    ages = ", ".join(f"{group} {now - each.at:.0f} s ago" for group, each in pushed.items() if each.at is not None)
    problems = [f"{group}: {each.problem}" for group, each in pushed.items() if each.problem]
    if resting:
        problems.insert(0, "the Pushgateway failed a moment ago")
    return f"pushed {ages or 'nothing yet'}" + (f". Not pushed: {'; '.join(problems)}" if problems else "")


def _next(group: Group, tried: Mapping[Group, float], intervals: Mapping[Group, float]) -> float:
    return tried[group] + intervals[group] if group in tried else float("-inf")
