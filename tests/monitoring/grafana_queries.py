"""The dashboards as Grafana would read them, and their queries filled in as it would send them.

What belongs here: the files, and the values to fill in. What does not: filling in (`monitoring.dashboard.filling`),
sending.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from monitoring.dashboard.filling import Filler, seconds

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "monitoring" / "grafana"
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / "dashboards").glob("*.json")}


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


def filler(board: Mapping[str, Any], panel: Mapping[str, Any], until: datetime, **variables: tuple[str, ...]) -> Filler:
    """For a panel: the dashboard's time range unless it has its own, and variables as they are at first."""
    since = panel.get("timeFrom") or board["time"]["from"].removeprefix("now-")
    chosen = {each["name"]: (each["current"]["value"],) for each in board["templating"]["list"]}
    least = seconds(panel.get("interval", "5s"))
    return Filler(timedelta(seconds=seconds(since)), until, {**chosen, **variables}, least)
