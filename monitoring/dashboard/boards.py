"""The dashboards as Grafana's files define them: sections, panels, what they ask, what a person can choose.

What belongs here: reading. What does not: filling in what is chosen (`filling`) and drawing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal

Json = Mapping[str, Any]
POSTGRES = "grafana-postgresql-datasource"


@dataclass(frozen=True)
class Target:
    """One query of a panel; `form` is Grafana's: time_series, table or heatmap."""

    kind: Literal["prometheus", "postgres"]
    text: str
    form: str
    is_instant: bool
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel. What few kinds of panels have stays in `raw`, as Grafana has it."""

    number: int
    kind: str
    title: str
    description: str
    width: int
    height: int
    targets: tuple[Target, ...]
    raw: Json

    @property
    def defaults(self) -> Json:
        """What all fields of the panel have: unit, thresholds, links."""
        return self.raw["fieldConfig"]["defaults"]

    @property
    def custom(self) -> Json:
        """How lines are drawn."""
        return self.defaults.get("custom", {})

    @property
    def unit(self) -> str:
        """Grafana's name of the unit."""
        return self.defaults.get("unit", "short")

    def overrides(self, name: str) -> dict[str, Any]:
        """What one field has beside the defaults, by property."""
        found: dict[str, Any] = {}
        for each in self.raw["fieldConfig"].get("overrides", ()):
            kind, wanted = each["matcher"]["id"], each["matcher"]["options"]
            is_meant = name == wanted if kind == "byName" else re.search(wanted.strip("/"), name) is not None
            found |= {p["id"]: p["value"] for p in each["properties"]} if is_meant else {}
        return found


@dataclass(frozen=True)
class PanelGroup:
    """A headline and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard; `since` and `refresh` as in `30d` and `10s`."""

    uid: str
    title: str
    description: str
    since: str
    refresh: str
    sections: tuple[PanelGroup, ...]
    choices: tuple[Json, ...]
    initial: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def panels(self) -> list[Panel]:
        """All of them, from the top down."""
        return [panel for section in self.sections for panel in section.panels]


@cache
def boards() -> Mapping[str, Board]:
    """All dashboards by uid, in their order."""
    folder = resources.files("monitoring").joinpath("grafana", "dashboards")
    texts = [path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name.endswith(".json")]
    found = [read(json.loads(text)) for text in texts]
    return {board.uid: board for board in sorted(found, key=lambda board: board.uid)}


def read(raw: Json) -> Board:
    """A dashboard from the JSON that Grafana provisions."""
    variables = raw["templating"]["list"]
    return Board(
        uid=raw["uid"],
        title=raw["title"].partition(": ")[2],
        description=raw["description"],
        since=raw["time"]["from"].removeprefix("now-"),
        refresh=raw["refresh"],
        sections=_sections(raw["panels"]),
        choices=tuple(each for each in variables if each.get("hide") != "hideVariable" and each.get("hide") != 2),
        initial={each["name"]: _chosen(each["current"]["value"]) for each in variables},
    )


def _chosen(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)  # pyright: ignore[reportUnknownArgumentType]


def _sections(panels: Sequence[Json]) -> tuple[PanelGroup, ...]:
    found: list[tuple[str, list[Panel]]] = []
    for raw in panels:
        if raw["type"] == "row":
            found.append((raw["title"], []))
        else:
            found[-1][1].append(_panel(raw))
    return tuple(PanelGroup(title, tuple(under)) for title, under in found)


def _panel(raw: Json) -> Panel:
    at = raw["gridPos"]
    targets = tuple(map(_target, raw.get("targets", ())))
    return Panel(raw["id"], raw["type"], raw["title"], raw["description"], at["w"], at["h"], targets, raw)


def _target(raw: Json) -> Target:
    if raw["datasource"]["type"] == POSTGRES:
        return Target("postgres", raw["rawSql"], raw["format"], is_instant=False, legend="")
    return Target("prometheus", raw["expr"], raw["format"], raw["instant"], raw["legendFormat"])
