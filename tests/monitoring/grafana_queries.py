"""The dashboards as Grafana would read them, and their queries as it would send them.

What belongs here: the files, and what Grafana does to a query before it sends it (variables, macros): a pure text
filler. What does not: sending.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "monitoring" / "grafana"
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / "dashboards").glob("*.json")}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")
# As Grafana's plugin for PostgreSQL finds a macro: no bracket within its arguments.
_MACRO = re.compile(r"\$(\w+)\(([^)]*)\)")


def seconds(text: str) -> int:
    """`90m` in seconds."""
    return int(text[:-1]) * _UNITS[text[-1]]


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All panels but the rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(kind: str) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Dashboard, title, panel and target of every query of a kind of datasource."""
    for name, board in sorted(BOARDS.items()):
        for panel in panels(board):
            for target in panel.get("targets", []):
                if target["datasource"]["type"] == kind:
                    yield name, f"{panel['title']} {target['refId']}", panel, target


@dataclass(frozen=True)
class Filler:
    """What a dashboard's queries are filled with.

    Attributes:
        variables: the values that are chosen, by variable.
        scrape: seconds between two scrapes.
    """

    since: timedelta
    until: datetime
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    least: int = 5
    scrape: int = 20

    @property
    def interval(self) -> int:
        """Seconds between two points of a panel that is a thousand points wide."""
        return max(self.least, round(self.since.total_seconds() / 1000))

    def prometheus(self, expr: str) -> str:
        """A query of Prometheus; several values of a variable become a regular expression."""
        rate = max(self.interval + self.scrape, 4 * self.scrape)
        own = {"__rate_interval": f"{rate}s", "__interval": f"{self.interval}s"}
        own["__range"] = f"{round(self.since.total_seconds())}s"
        return self._replaced(expr, {**own, **{k: "|".join(v) for k, v in self.variables.items()}})

    def postgres(self, text: str) -> str:
        """A query of PostgreSQL: first variables, then macros, as Grafana does it."""
        own = {"__interval": f"{self.interval}s"}
        listed = {k: ",".join("'" + each.replace("'", "''") + "'" for each in v) for k, v in self.variables.items()}
        return _MACRO.sub(self._macro, self._replaced(text, {**own, **listed}))

    def _replaced(self, text: str, values: Mapping[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1] or found[3]
            return found[0] if name not in values else values[name]

        return _VARIABLE.sub(value, text)

    def _macro(self, found: re.Match[str]) -> str:
        first, *others = [part.strip() for part in found[2].split(",")]
        low, high = (f"'{at.astimezone(UTC).isoformat()}'" for at in (self.until - self.since, self.until))
        plain = {"__timeFilter": f"{first} BETWEEN {low} AND {high}", "__timeFrom": low, "__timeTo": high}
        if found[1] in plain:
            return plain[found[1]]
        width = seconds(others[0].strip("'"))
        group = f"floor(extract(epoch from {first})/{width})*{width}"
        return {"__timeGroup": group, "__timeGroupAlias": f'{group} AS "time"'}[found[1]]


def filler(board: Mapping[str, Any], panel: Mapping[str, Any], until: datetime, **variables: tuple[str, ...]) -> Filler:
    """For a panel: the dashboard's time range unless it has its own, and variables as they are at first."""
    since = panel.get("timeFrom") or board["time"]["from"].removeprefix("now-")
    chosen = {each["name"]: (each["current"]["value"],) for each in board["templating"]["list"]}
    least = seconds(panel.get("interval", "5s"))
    return Filler(timedelta(seconds=seconds(since)), until, {**chosen, **variables}, least)
