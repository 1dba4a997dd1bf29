"""What all kinds of panels share: what they say of themselves, legends, tooltips, links.

What belongs here: parts of panels. What does not: panels (`panels`, `tables`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import common as shapes
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, units
from grafana_foundation_sdk.models.dashboard import DashboardLink, DataSourceRef

from monitoring.grafana import links
from monitoring.grafana.queries import POSTGRES, PROMETHEUS, Query, Sql


class About(NamedTuple):
    """What a panel says of itself.

    Attributes:
        alert: whose section of the runbook to read when this looks bad.
        away: links of its values.
    """

    title: str
    description: str
    unit: str = units.Short
    alert: str = ""
    away: Sequence[links.Link] = ()


def source(queries: Sequence[Query]) -> DataSourceRef:
    """Where the queries of a panel go: all to one place."""
    return POSTGRES if isinstance(queries[0].build(), Sql) else PROMETHEUS


def runbook(about: About) -> list[Builder[DashboardLink]]:
    """The link to the section of its alert, where it has one."""
    return [links.runbook(about.alert)] if about.alert else []


def legend(calcs: Sequence[str]) -> shapes.VizLegendOptions:
    """A table below the panel with these columns, or just the names."""
    mode = common.LegendDisplayMode.TABLE if calcs else common.LegendDisplayMode.LIST
    legend = shapes.VizLegendOptions().display_mode(mode).placement(common.LegendPlacement.BOTTOM)
    return legend.show_legend(True).calcs(list(calcs))


def tooltip() -> shapes.VizTooltipOptions:
    """All series at once, the largest first."""
    return shapes.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)


def drawn(limits: builders.ThresholdsConfig | None) -> shapes.GraphThresholdsStyleConfig:
    """Thresholds as dashed lines, where there are any."""
    modes = common.GraphThresholdsStyleMode
    return shapes.GraphThresholdsStyleConfig().mode(modes.DASHED if limits else modes.OFF)
