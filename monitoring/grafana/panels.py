"""The kinds of panels that the dashboards are made of, each looking the same everywhere.

What belongs here: legends, tooltips, shapes. What does not: what a panel shows, and where it stands.
Every panel has a title, a description for somebody who sees it for the first time at 3 a.m., and a unit.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import common as shapes
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common, units
from grafana_foundation_sdk.models.dashboard import ValueMapping
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

from monitoring.grafana import colours
from monitoring.grafana.colours import neutral
from monitoring.grafana.parts import About, drawn, legend, runbook, source, tooltip
from monitoring.grafana.queries import NO_SOURCE, Query


def number(
    about: About,
    *queries: Query,
    limits: builders.ThresholdsConfig | None = None,
    mappings: Sequence[ValueMapping] = (),
    text: common.BigValueTextMode = common.BigValueTextMode.AUTO,
    empty: str = "no data",
) -> stat.Panel:
    """One large number, or one for each series; its colour is that of its threshold."""
    panel = stat.Panel().title(about.title).description(about.description).unit(about.unit).no_value(empty)
    panel = panel.reduce_options(shapes.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    panel = panel.color_mode(common.BigValueColorMode.BACKGROUND if limits else common.BigValueColorMode.VALUE)
    panel = panel.graph_mode(common.BigValueGraphMode.AREA).justify_mode(common.BigValueJustifyMode.AUTO)
    panel = panel.text_mode(text).orientation(common.VizOrientation.AUTO).mappings(list(mappings))
    panel = panel.thresholds(limits or neutral()).color_scheme(colours.by_threshold())
    return panel.targets(list(queries)).datasource(source(queries)).links(runbook(about)).data_links([*about.away])


def lines(
    about: About,
    *queries: Query,
    stacked: common.StackingMode = common.StackingMode.NONE,
    bars: bool = False,
    limits: builders.ThresholdsConfig | None = None,
    calcs: Sequence[str] = ("mean", "max", "lastNotNull"),
    named: Sequence[str] = (),
) -> timeseries.Panel:
    """Lines over time, or areas or bars one on the other.

    `limits` are drawn as dashed lines, `calcs` are columns of the legend, and the series that are `named` have a colour
    with a meaning (`colours.MEANINGS`).
    """
    whole = stacked is not common.StackingMode.NONE
    panel = timeseries.Panel().title(about.title).description(about.description).unit(about.unit)
    panel = panel.draw_style(common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE).line_width(1)
    panel = panel.fill_opacity(80 if bars else 35 if whole else 8).gradient_mode(common.GraphGradientMode.NONE)
    panel = panel.stacking(shapes.StackingConfig().mode(stacked).group("A")).axis_soft_min(0)
    panel = panel.show_points(common.VisibilityMode.AUTO if not bars else common.VisibilityMode.NEVER).point_size(4)
    panel = panel.legend(legend(calcs)).tooltip(tooltip()).color_scheme(colours.by_name())
    panel = panel.thresholds(limits or neutral()).thresholds_style(drawn(limits))
    for name in named:
        panel = panel.override_by_name(name, colours.fixed(colours.MEANINGS[name]))
    return panel.targets(list(queries)).datasource(source(queries)).links(runbook(about)).data_links([*about.away])


def stacked(
    about: About, *queries: Query, bars: bool = False, percent: bool = False, named: Sequence[str] = ()
) -> timeseries.Panel:
    """Parts of a whole over time."""
    mode = common.StackingMode.PERCENT if percent else common.StackingMode.NORMAL
    return lines(about, *queries, stacked=mode, bars=bars, named=named)


def states(about: About, *queries: Query, mappings: Sequence[ValueMapping]) -> statetimeline.Panel:
    """When something was in which state: a bar for each series."""
    panel = statetimeline.Panel().title(about.title).description(about.description).unit(about.unit)
    panel = panel.mappings(list(mappings)).thresholds(neutral()).color_scheme(colours.by_threshold())
    panel = panel.show_value(common.VisibilityMode.NEVER).merge_values(True).row_height(0.8).line_width(0)
    panel = panel.fill_opacity(75).legend(legend(())).tooltip(tooltip()).no_value("no data")
    return panel.targets(list(queries)).datasource(source(queries)).links(runbook(about)).data_links([*about.away])


def ranking(about: About, *queries: Query, by_row: bool = False) -> bargauge.Panel:
    """Names with a bar each, for the newest value; `by_row`: a bar for each row of a table (a text and a number)."""
    reduced = shapes.ReduceDataOptions().calcs(["lastNotNull"]).values(by_row).fields("")
    panel = bargauge.Panel().title(about.title).description(about.description).unit(about.unit).min(0)
    panel = panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.GRADIENT)
    panel = panel.value_mode(common.BarGaugeValueMode.COLOR).show_unfilled(True).reduce_options(reduced)
    panel = panel.thresholds(neutral()).color_scheme(colours.by_threshold()).no_value("none")
    return panel.targets(list(queries)).datasource(source(queries)).links(runbook(about)).data_links([*about.away])


def density(about: About, query: Query) -> heatmap.Panel:
    """How often which value, over time, from the buckets of a histogram."""
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").fill("dark-orange")
    panel = heatmap.Panel().title(about.title).description(about.description).unit(about.unit).calculate(False)
    panel = panel.color(colour.steps(64).exponent(0.5).reverse(False)).cell_gap(1)
    panel = panel.y_axis(heatmap.YAxisConfig().unit(about.unit).axis_placement(common.AxisPlacement.LEFT))
    panel = panel.rows_frame(heatmap.RowsHeatmapOptions().layout(common.HeatmapCellLayout.AUTO)).show_legend()
    panel = panel.mode(common.TooltipDisplayMode.SINGLE).hide_y_histogram().cell_values(_per_second())
    return panel.targets([query]).datasource(source([query])).links(runbook(about))


def alerts(about: About) -> builders.Panel:
    """Prometheus' own alerts of Millrace that fire or are about to, with their runbooks.

    The SDK has no builder for this kind. `datasource` is the name of the datasource, not its uid.
    """
    shown = {"firing": True, "pending": True, "error": True, "noData": False, "normal": False, "recovering": True}
    options = {"viewMode": "list", "groupMode": "default", "groupBy": [], "maxItems": 20, "sortOrder": 3}
    filters = {"alertName": "Millrace", "alertInstanceLabelFilter": "", "datasource": "Prometheus"}
    more = {"dashboardAlerts": False, "showInactiveAlerts": False, "stateFilter": shown}
    panel = builders.Panel().type("alertlist").title(about.title).description(about.description).unit(about.unit)
    return panel.options({**options, **filters, **more}).datasource(NO_SOURCE).links(runbook(about))


def _per_second() -> heatmap.CellValues:
    return heatmap.CellValues().unit(units.EventsPerSecond)
