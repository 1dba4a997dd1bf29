"""Panels of rows and columns.

What belongs here: tables, and how single columns look. What does not: other kinds of panels (`panels`).
"""

from grafana_foundation_sdk.builders import common as shapes
from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from monitoring.grafana import colours, links
from monitoring.grafana.parts import About, runbook, source
from monitoring.grafana.queries import Query


def grid(about: About, *queries: Query, sort: str = "") -> table.Panel:
    """Rows and columns; `columns` and `shaded` say how single columns look."""
    panel = table.Panel().title(about.title).description(about.description).unit(about.unit).no_value("")
    panel = panel.show_header(True).cell_height(common.TableCellHeight.SM).filterable(True)
    panel = panel.footer(_no_footer()).thresholds(colours.neutral()).color_scheme(colours.by_threshold())
    if sort:
        panel = panel.sort_by([_SortBy(sort)])
    return panel.targets(list(queries)).datasource(source(queries)).links(runbook(about))


def column(panel: table.Panel, name: str, unit: str, *away: links.Link) -> table.Panel:
    """Give a column a unit, and its cells links."""
    properties = [DynamicConfigValue("unit", unit)]
    if away:
        properties.append(DynamicConfigValue("links", [each.build() for each in away]))
    return panel.override_by_name(name, properties)


def shaded(panel: table.Panel, pattern: str, unit: str, scheme: str = "continuous-blues") -> table.Panel:
    """Colour the cells of the columns whose name matches by their value, from 0 to 1."""
    cell = {"type": "color-background", "mode": "gradient"}
    values = {"unit": unit, "custom.cellOptions": cell, "color": {"mode": scheme}, "min": 0, "max": 1}
    return panel.override_by_regexp(pattern, [DynamicConfigValue(name, value) for name, value in values.items()])


def hidden(panel: table.Panel, name: str) -> table.Panel:
    """Leave a column out."""
    return panel.override_by_name(name, [DynamicConfigValue("custom.hidden", True)])


class _SortBy(shapes.TableSortByFieldState):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.display_name(name).desc(True)


def _no_footer() -> shapes.TableFooterOptions:
    """No sums below a table."""
    return shapes.TableFooterOptions().show(False).reducer(["sum"]).count_rows(False)
