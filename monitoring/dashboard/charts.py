"""Lines over time as ECharts draws them: areas and bars too, with thresholds.

What belongs here: panels of the kind `timeseries`, and what all charts share. What does not: the other kinds (`plots`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from monitoring.dashboard import colours, units
from monitoring.dashboard.boards import Panel
from monitoring.dashboard.colours import Palette
from monitoring.dashboard.frames import Point, Series

Option = dict[str, Any]
_SHAPES = ("solid", "dashed", "dotted")


@dataclass(frozen=True)
class Span:
    """What of time a chart shows, in seconds, and how far apart its points are."""

    low: float
    high: float
    step: float


def over_time(panel: Panel, series: Sequence[Series], span: Span, on: Palette) -> Option:
    """A panel of the kind `timeseries`."""
    stacking = panel.custom.get("stacking", {}).get("mode", "none")
    # Points of bars and of what is stacked have to stand over each other.
    drawn = aligned(series, span) if stacking != "none" else [_with_gaps(each, span) for each in series]
    drawn = _shares(drawn) if stacking == "percent" else drawn
    unit = "percentunit" if stacking == "percent" else panel.unit
    scale = units.scale(unit, [abs(value) for each in drawn for _, value in each.points if value == value])
    fixed = {each.name: panel.overrides(each.name).get("color", {}).get("fixedColor") for each in series}
    names = [each.name for each in series]
    chosen = colours.of_lines(names, {k: v for k, v in fixed.items() if v}, on)
    made = [_line(panel, each, at, chosen[each.name], scale.divisor) for at, each in enumerate(drawn)]
    if made:
        made[0] |= _limits(panel, scale.divisor, on)
    return {
        **common(panel, on, summary(panel, series)),
        "legend": legend(on, names),
        "tooltip": {**tooltip(on), "trigger": "axis", ":valueFormatter": suffixed(scale.name)},
        "grid": {"left": 8, "right": 14, "top": 28, "bottom": 34, "containLabel": True},
        "xAxis": {"type": "time", "min": span.low * 1000, "max": span.high * 1000, **axis(on), "splitNumber": 4},
        "yAxis": {"type": "value", "name": scale.name, **axis(on), **_reach(panel, drawn), "splitNumber": 4},
        "series": made,
    }


def _reach(panel: Panel, series: Sequence[Series]) -> Option:
    values = [value for each in series for _, value in each.points]
    if any(value < 0 for value in values):
        return {"scale": True}
    is_share = panel.unit == "percentunit" and max(values, default=0) > 0.5
    return {"min": 0, "max": 100} if is_share else {"min": 0}


def _line(panel: Panel, series: Series, at: int, colour: str, divisor: float) -> Option:
    custom, is_bar = panel.custom, panel.custom.get("drawStyle") == "bars"
    points = [[at * 1000, units.rounded(v / divisor) if v == v else None] for at, v in series.points]
    mode = custom.get("stacking", {}).get("mode", "none")
    made: Option = {"name": series.name, "data": points, "itemStyle": {"color": colour}, "animation": False}
    if mode != "none":
        made["stack"] = "A"
    if is_bar:
        return {**made, "type": "bar", "barMaxWidth": 24, "barCategoryGap": "10%"}
    shape = "solid" if mode != "none" else _SHAPES[at % len(_SHAPES)]
    few = len(points) <= 40
    area = {"areaStyle": {"opacity": custom.get("fillOpacity", 0) / 100}} if custom.get("fillOpacity") else {}
    line = {"lineStyle": {"width": 1.8, "color": colour, "type": shape}, "showSymbol": few, "symbolSize": 5}
    return {**made, "type": "line", **line, **area}


def _limits(panel: Panel, divisor: float, on: Palette) -> Option:
    """Thresholds as dashed lines, where the panel draws them."""
    if panel.custom.get("thresholdsStyle", {}).get("mode", "off") == "off":
        return {}
    steps = [each for each in panel.defaults["thresholds"]["steps"] if each["value"] is not None]
    marks = [
        {"yAxis": each["value"] / divisor, "lineStyle": {"color": on.colour(each["color"]), "type": "dashed"}}
        for each in steps
    ]
    return {"markLine": {"silent": True, "symbol": "none", "label": {"show": False}, "data": marks}}


def _with_gaps(series: Series, span: Span) -> Series:
    """A hole in the line where points are missing."""
    points: list[Point] = []
    usual = max(span.step, _usual_distance(series.points))
    for at, value in series.points:
        if points and at - points[-1][0] > 2.5 * usual:
            points.append((points[-1][0] + usual, float("nan")))
        points.append((at, value))
    return Series(series.name, points, series.labels)


def _usual_distance(points: Sequence[Point]) -> float:
    distances = sorted(after[0] - before[0] for before, after in pairwise(points))
    return distances[(len(distances) - 1) // 2] if distances else 0


def aligned(series: Sequence[Series], span: Span) -> list[Series]:
    """All lines at the same times; where one has no value it has none to add."""
    times = sorted({at for each in series for at, _ in each.points})
    found: list[Series] = []
    for each in series:
        values = dict(each.points)
        found.append(Series(each.name, [(at, values.get(at, 0.0)) for at in times], each.labels))
    return [_with_gaps(each, span) for each in found]


def _shares(series: Sequence[Series]) -> list[Series]:
    sums: dict[float, float] = {}
    for each in series:
        for at, value in each.points:
            sums[at] = sums.get(at, 0) + value
    share = [[(at, v / sums[at] if sums[at] else 0.0) for at, v in each.points] for each in series]
    return [Series(each.name, points, each.labels) for each, points in zip(series, share, strict=True)]


def common(panel: Panel, on: Palette, text: str) -> Option:
    """What every chart has: a description for those who cannot see it, no animation, UTC."""
    return {
        "animation": False,
        "useUTC": True,
        "textStyle": {"color": on.text, "fontFamily": "inherit"},
        "aria": {"enabled": True, "label": {"description": f"{panel.title}. {panel.description} {text}"}},
    }


def summary(panel: Panel, series: Sequence[Series]) -> str:
    """The newest values in words."""
    newest = [f"{each.name} {units.shown(panel.unit, each.points[-1][1])}" for each in series[:12]]
    more = f", and {len(series) - 12} more" if len(series) > 12 else ""
    return f"Newest values: {', '.join(newest)}{more}."


def axis(on: Palette) -> Option:
    """Labels and lines of an axis."""
    return {
        "axisLabel": {"color": on.muted, "hideOverlap": True},
        "axisLine": {"lineStyle": {"color": on.grid}},
        "splitLine": {"lineStyle": {"color": on.grid}},
        "nameTextStyle": {"color": on.muted, "align": "left", "padding": [0, 0, 0, -20]},
    }


def tooltip(on: Palette) -> Option:
    """A tooltip that stays within its chart."""
    style = {"backgroundColor": on.card, "borderColor": on.grid, "textStyle": {"color": on.text, "fontSize": 12}}
    return {"confine": True, "order": "valueDesc", **style}


def legend(on: Palette, names: Sequence[str]) -> Option:
    """Names below the chart; pages of them where there are many."""
    style = {"textStyle": {"color": on.text}, "pageTextStyle": {"color": on.text}, "pageIconColor": on.text}
    return {"type": "scroll", "bottom": 0, "data": list(names), "itemWidth": 18, "itemHeight": 8, **style}


def suffixed(name: str) -> str:
    """JavaScript that writes a value with its unit; the name of a unit is ours, and quoted all the same."""
    return f"v => v == null ? 'none' : v + {json.dumps(f' {name}' if name else '')}"


def mapped(panel: Panel) -> Mapping[float, Mapping[str, str]]:
    """Words and colours for values: {1: {"text": "up", "color": "green"}}."""
    values = [each for each in panel.defaults.get("mappings", ()) if each["type"] == "value"]
    return {float(value): option for each in values for value, option in each["options"].items()}
