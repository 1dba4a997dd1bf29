"""Puts panels onto Grafana's grid of 24 columns, and numbers them.

What belongs here: positions and numbers. What does not: what is in a panel.

A panel's number comes from its title: links to a panel (`?viewPanel=`) stay true when another panel is added, and the
dashboards' files change only where something is new.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import GridPos, Panel, RowPanel

COLUMNS = 24

Drawn = Builder[Panel]


class Band(NamedTuple):
    """Panels side by side, each with its width; together 24 columns."""

    height: int
    panels: Sequence[tuple[int, Drawn]]


class Section(NamedTuple):
    """A headline and what is below it."""

    title: str
    bands: Sequence[Band]


def band(height: int, *panels: Drawn, widths: Sequence[int] = ()) -> Band:
    """Panels side by side, equally wide where nothing else is said."""
    return Band(height, list(zip(widths or [COLUMNS // len(panels)] * len(panels), panels, strict=True)))


def placed(sections: Sequence[Section]) -> list[Panel | RowPanel]:
    """All rows and panels, from the top down.

    Raises:
        ValueError: a band is not 24 columns wide, or two panels would have one number.
    """
    made: list[Panel | RowPanel] = []
    top = 0
    for section in sections:
        made.append(
            RowPanel(
                title=section.title, grid_pos=GridPos(h=1, w=COLUMNS, x=0, y=top), id_val=_number("row", section.title)
            )
        )
        top += 1
        for each in section.bands:
            made.extend(_across(each, top))
            top += each.height
    _refuse_twins(made)
    return made


def _across(each: Band, top: int) -> Iterator[Panel]:
    left = 0
    for width, builder in each.panels:
        panel = builder.build()
        panel.id_val, panel.grid_pos = _number("panel", panel.title), GridPos(h=each.height, w=width, x=left, y=top)
        left += width
        yield panel
    if left != COLUMNS:
        raise ValueError(f"a band is {left} columns wide, not {COLUMNS}")


def _number(kind: str, title: str | None) -> int:
    return zlib.crc32(f"{kind} {title}".encode()) % 1_000_000 + 1


def _refuse_twins(made: Sequence[Panel | RowPanel]) -> None:
    seen: dict[int | None, str | None] = {}
    for each in made:
        if each.id_val in seen:
            raise ValueError(
                f"{each.title!r} and {seen[each.id_val]!r} would have one number: call one of them otherwise"
            )
        seen[each.id_val] = each.title
