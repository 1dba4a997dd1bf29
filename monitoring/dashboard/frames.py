"""Answers in the shapes that panels are drawn from: lines over time, or rows.

What belongs here: from what Prometheus and PostgreSQL say to these shapes, and reading the newest of them. What does
not: asking (`sources`), drawing.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

Point = tuple[float, float]
_LABEL = re.compile(r"{{\s*(\w+)\s*}}")


@dataclass(frozen=True)
class Series:
    """A line: its name, its points as (epoch seconds, value), and the labels that it came with."""

    name: str
    points: Sequence[Point]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Rows:
    """A table."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


Frame = list[Series] | Rows


def of_prometheus(found: Iterable[Mapping[str, Any]], legend: str, title: str) -> list[Series]:
    """Series of `query` or `query_range`; values that are no numbers are left out."""
    made: list[Series] = []
    for each in found:
        values = each.get("values") or [each["value"]]
        points = [(float(at), float(value)) for at, value in values]
        finite = [(at, value) for at, value in points if math.isfinite(value)]
        if finite:
            made.append(Series(_named(each["metric"], legend, title), finite, each["metric"]))
    return made


def _named(labels: Mapping[str, str], legend: str, title: str) -> str:
    if legend in ("", "__auto"):
        return ", ".join(value for name, value in labels.items() if name != "__name__") or title
    return _LABEL.sub(lambda found: labels.get(found[1], ""), legend)


def table_of_prometheus(found: Iterable[Mapping[str, Any]]) -> Rows:
    """Labels as columns, and the value, as Grafana's format `table`."""
    listed = list(found)
    names = sorted({name for each in listed for name in each["metric"] if name != "__name__"})
    rows = [[*(each["metric"].get(n, "") for n in names), float(each["value"][1])] for each in listed]
    return Rows([*names, "Value"], rows)


def of_postgres(columns: Sequence[str], rows: Sequence[Sequence[Any]], form: str) -> Frame:
    """Rows as they are, or lines of a first column `time`, perhaps a text that names the line, and numbers."""
    plain = [[float(v) if isinstance(v, Decimal) else v for v in row] for row in rows]
    if form == "table":
        return Rows(columns, plain)
    if len(columns) > 2 and columns[1] == "metric":
        return _by_name(plain)
    values = range(1, len(columns))
    lines = {columns[at]: [(epoch(row[0]), float(row[at])) for row in plain if row[at] is not None] for at in values}
    return [Series(name, points) for name, points in lines.items() if points]


def _by_name(rows: Iterable[Sequence[Any]]) -> list[Series]:
    found: dict[str, list[Point]] = {}
    for at, name, value, *_ in rows:
        if value is not None:
            found.setdefault(str(name), []).append((epoch(at), float(value)))
    return [Series(name, points) for name, points in sorted(found.items())]


def epoch(at: Any) -> float:
    """A time, a day or a number of seconds as seconds."""
    if isinstance(at, datetime):
        return at.timestamp()
    if isinstance(at, date):
        return datetime(at.year, at.month, at.day, tzinfo=UTC).timestamp()
    return float(at)


def lines(frames: Iterable[Frame]) -> list[Series]:
    """All lines of a panel's answers."""
    return [series for frame in frames if not isinstance(frame, Rows) for series in frame]


def table(frames: Iterable[Frame]) -> Rows:
    """The rows of a panel that asks for a table."""
    return next((frame for frame in frames if isinstance(frame, Rows)), Rows([], []))


def numbers(frames: Sequence[Frame]) -> list[Series]:
    """What a panel of single numbers shows: lines, or each column of a table's last row."""
    found = table(frames)
    named = list(zip(found.columns, found.rows[-1], strict=True)) if found.rows else []
    return [*lines(frames), *(Series(name, [(0.0, float(value))]) for name, value in named if _is_number(value))]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
