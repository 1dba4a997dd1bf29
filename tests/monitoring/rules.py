"""The rules and their promtool tests, read for tests.

What belongs here: reading, and taking expressions apart. What does not: assertions.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MONITORING = Path(__file__).parents[2] / "monitoring"
RULES, CASES = (MONITORING / "prometheus" / folder for folder in ("rules", "tests"))
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_DURATION = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?")
_LABELS = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)")
_CALL = re.compile(r"\b[a-z_]+(?=\s*\()")
_WORDS = frozenset(["and", "or", "unless", "by", "on", "ignoring", "without", "group_left", "group_right", "bool"])


class Used(NamedTuple):
    """What an expression uses: metrics with the labels of their matchers, and the labels of its groupings."""

    metrics: list[tuple[str, tuple[str, ...]]]
    labels: set[str]


@cache
def rules() -> list[dict[str, Any]]:
    """All rules, in all files."""
    return [
        rule
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, list[dict[str, Any]]]:
    """The alert rules by name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for rule in rules():
        if "alert" in rule:
            found.setdefault(rule["alert"], []).append(rule)
    return found


def recorded() -> set[str]:
    """The names that are recorded."""
    return {rule["record"] for rule in rules() if "record" in rule}


@cache
def cases() -> list[dict[str, Any]]:
    """All test groups of promtool."""
    return [
        case
        for path in sorted(CASES.glob("*.yml"))
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    ]


def used(expression: str) -> Used:
    """Take an expression apart; good for those that stand here, not for all of PromQL."""
    bare = _DURATION.sub(" ", _TEXT.sub('""', expression))
    labels = {label.strip() for found in _LABELS.findall(bare) for label in found.split(",") if label.strip()}
    bare = _CALL.sub(" ", _LABELS.sub(" ", bare))
    metrics = [
        (name, tuple(label for label, _ in _MATCHER.findall(matchers)))
        for name, matchers in _SELECTOR.findall(bare)
        if name not in _WORDS
    ]
    return Used(metrics, labels)


def equal_to(expression: str) -> Iterator[tuple[str, str, str]]:
    """Metric, label and value of each value that a matcher names, those of alternatives one by one."""
    for name, matchers in re.findall(r"([a-z_:]+)\{([^}]*)\}", expression):
        for label, _, values in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
            yield from ((name, label, value) for value in values.split("|"))


@cache
def outcomes() -> Mapping[str, list[list[bool]]]:
    """By alert, for each test group whether it is expected to fire, in the order of time."""
    found: dict[str, list[list[bool]]] = {}
    for case in cases():
        expected: dict[str, list[tuple[float, bool]]] = {}
        for check in case.get("alert_rule_test", []):
            at = seconds(check["eval_time"])
            expected.setdefault(check["alertname"], []).append((at, bool(check["exp_alerts"])))
        for alert, checks in expected.items():
            found.setdefault(alert, []).append([fires for _, fires in sorted(checks)])
    return found


def seconds(duration: str) -> float:
    """Of a duration of Prometheus."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))
