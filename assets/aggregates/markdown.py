"""Rows and courses as Markdown: tables, lines of blocks, bars. Pure.

What belongs here: text from values. What does not: which rows (`preview`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contract.shown import in_markdown, on_a_line

_WIDEST = 60
_BLOCKS = "▁▂▃▄▅▆▇█"
_BAR = 40


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns and rows as Markdown; what is in a cell is text and cannot break out of it."""
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spark(points: Sequence[tuple[str, float]]) -> str:
    """A line of blocks, the highest the largest value, between the first and the last point's names."""
    most = max(value for _, value in points)
    blocks = "".join(_block(value / most) if value else " " for _, value in points)
    return _preformatted(f"{points[0][0]} {blocks} {points[-1][0]}", f"highest {most:,.0f}, last {points[-1][1]:,.0f}")


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """A bar for each row, with its value and its share of the first."""
    rows = [(on_a_line(name).replace("`", "'"), value) for name, value in rows]
    first, width = rows[0][1] or 1.0, max(len(name) for name, _ in rows)
    most = max(value for _, value in rows) or 1.0
    return _preformatted(
        *(
            f"{name:{width}} {'█' * round(_BAR * value / most):{_BAR}} {value:>10,.0f} {value / first:5.0%}"
            for name, value in rows
        )
    )


def _block(share: float) -> str:
    return _BLOCKS[round(share * (len(_BLOCKS) - 1))]


def _preformatted(*lines: str) -> str:
    return "\n".join(["```", *lines, "```"])


def _cell(value: object) -> str:
    return in_markdown(text_of(value), _WIDEST) if isinstance(value, str | list) else text_of(value)


def text_of(value: object) -> str:
    """A value for people: times to the minute, in UTC as they come."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    return "" if value is None else str(value)
