"""What all dashboards have in common: time zone, links, annotations, the variables that links begin with.

What belongs here: the frame. What does not: panels.
"""

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardCursorSync

from monitoring.grafana import colours, layout, links, variables


class Addresses(NamedTuple):
    """Where things are that links lead to; how an installation has them is not known here."""

    dagster: str = "http://localhost:3000"
    runbook: str = "https://git.example.org/millrace/blob/main/docs/runbook.md"


class Frame(NamedTuple):
    """What a dashboard is called, and what of the past it shows how often."""

    uid: str
    description: str
    since: str
    refresh: str


def framed(
    frame: Frame,
    addresses: Addresses,
    sections: Sequence[layout.Section],
    chosen: Sequence[variables.Variable] = (),
) -> Dashboard:
    """The dashboard, read only: it is changed in the code."""
    board = builders.Dashboard(f"Millrace: {links.BOARDS[frame.uid]}").uid(frame.uid).description(frame.description)
    board = board.tags([links.TAG]).timezone("utc").week_start("monday").readonly()
    board = board.time(f"now-{frame.since}", "now").refresh(frame.refresh).tooltip(DashboardCursorSync.CROSSHAIR)
    board = board.links([*links.others(frame.uid)])
    board = board.variables([*chosen, *variables.addresses(addresses.dagster, addresses.runbook)])
    for severity, colour in (("critical", colours.BAD), ("warning", colours.WARN)):
        board = board.annotation(variables.fired(severity, colour))
    made = board.build()
    made.panels = layout.placed(sections)
    return made
