"""Bars, heat maps and states as ECharts draws them.

What belongs here: panels of the kinds `bargauge`, `heatmap` and `state-timeline`. What does not: lines (`charts`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from monitoring.dashboard import units
from monitoring.dashboard.boards import Panel
from monitoring.dashboard.charts import Option, Span, axis, common, mapped, suffixed, tooltip
from monitoring.dashboard.colours import Palette
from monitoring.dashboard.frames import Rows, Series


def bars(panel: Panel, found: Sequence[tuple[str, float]], on: Palette) -> Option:
    """Names with a bar each, the first on top."""
    scale = units.scale(panel.unit, [value for _, value in found])
    names = [name for name, _ in found]
    values = [units.rounded(value / scale.divisor) for _, value in found]
    summary = ", ".join(f"{name} {units.shown(panel.unit, value)}" for name, value in found)
    label = {
        "show": True,
        "position": "right",
        "color": on.text,
        ":formatter": f"p => ({suffixed(scale.name)})(p.value)",
    }
    return {
        **common(panel, on, f"{summary}."),
        "tooltip": {**tooltip(on), ":valueFormatter": suffixed(scale.name)},
        "grid": {"left": 8, "right": 64, "top": 4, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "value", "min": 0, **axis(on), "axisLabel": {"show": False}, "splitLine": {"show": False}},
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": names,
            **axis(on),
            "axisLabel": {"color": on.text, "width": 150, "overflow": "truncate"},
        },
        "series": [
            {
                "type": "bar",
                "name": panel.title,
                "data": values,
                "itemStyle": {"color": on.named["blue"]},
                "label": label,
                "barMaxWidth": 26,
                "showBackground": True,
                "backgroundStyle": {"color": on.grid, "opacity": 0.4},
            }
        ],
    }


def ranked(frames: Sequence[Rows | list[Series]]) -> list[tuple[str, float]]:
    """A name and a value for each row of a table, or for each line its newest value."""
    found: list[tuple[str, float]] = []
    for frame in frames:
        if isinstance(frame, Rows):
            found += [(str(row[0]), float(row[1])) for row in frame.rows]
        else:
            found += [(each.name, each.points[-1][1]) for each in frame]
    return found


def density(panel: Panel, buckets: Sequence[Series], span: Span, on: Palette) -> Option:
    """How often which value over time, from the buckets of a histogram, which each count all below them."""
    ordered = sorted(buckets, key=lambda each: _bound(each.name))
    times = sorted({at for each in ordered for at, _ in each.points})
    names = [units.shown(panel.unit, _bound(each.name)) if each.name != "+Inf" else "∞" for each in ordered]
    below = dict.fromkeys(times, 0.0)
    cells: list[list[float]] = []
    for row, each in enumerate(ordered):
        values = dict(each.points)
        for column, at in enumerate(times):
            amount = values.get(at, below[at])
            if amount - below[at] > 0:
                cells.append([column, row, units.rounded(amount - below[at])])
            below[at] = max(amount, below[at])
    largest = max((cell[2] for cell in cells), default=1)
    most = max(cells, key=lambda cell: cell[2], default=[0, 0, 0])
    summary = f"Most records took up to {names[int(most[1])]}." if cells else ""
    return {
        **_grid(panel, [_clock(at, span) for at in times], [f"≤ {each}" for each in names], on, summary),
        "visualMap": {
            "min": 0,
            "max": largest,
            "show": False,
            "inRange": {"color": list(on.ramp)},
        },
        "series": [{"type": "heatmap", "name": "records/s", "data": cells}],
    }


def states(panel: Panel, series: Sequence[Series], span: Span, on: Palette) -> Option:
    """When something was in which state: a row for each line, in the words and colours of the panel's mappings."""
    words = mapped(panel)
    times = sorted({at for each in series for at, _ in each.points})
    column = {at: index for index, at in enumerate(times)}
    cells = [[column[at], row, value] for row, each in enumerate(series) for at, value in each.points]
    names = [each.name for each in series]
    newest = [words.get(each.points[-1][1], {}).get("text", "?") for each in series]
    summary = ", ".join(f"{name}: {word}" for name, word in zip(names, newest, strict=True))
    pieces = [{"value": v, "label": word["text"], "color": on.colour(word["color"])} for v, word in words.items()]
    legend = {"orient": "horizontal", "left": 0, "bottom": 0, "textStyle": {"color": on.text}, "itemHeight": 10}
    return {
        **_grid(panel, [_clock(at, span) for at in times], names, on, f"{summary}."),
        "visualMap": {"type": "piecewise", "pieces": pieces, **legend},
        "series": [{"type": "heatmap", "name": panel.title, "data": cells, "itemStyle": {"borderWidth": 0}}],
    }


def _grid(panel: Panel, across: Sequence[str], up: Sequence[str], on: Palette, summary: str) -> Option:
    label = {"color": on.muted, "hideOverlap": True}
    return {
        **common(panel, on, summary),
        "tooltip": tooltip(on),
        "grid": {"left": 8, "right": 14, "top": 8, "bottom": 34, "containLabel": True},
        "xAxis": {"type": "category", "data": list(across), **axis(on), "axisLabel": label},
        "yAxis": {
            "type": "category",
            "data": list(up),
            **axis(on),
            "axisLabel": {**label, "width": 150, "overflow": "truncate"},
        },
    }


def _bound(name: str) -> float:
    return float("inf") if name == "+Inf" else float(name)


def _clock(at: float, span: Span) -> str:
    form = "%H:%M" if span.high - span.low <= 86_400 else "%m-%d %H:%M"
    return datetime.fromtimestamp(at, UTC).strftime(form)
