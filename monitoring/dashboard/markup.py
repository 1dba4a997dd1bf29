"""Large numbers, tables and lists of alerts as HTML, in which everything that comes from data is escaped.

What belongs here: panels that are texts: `stat`, `table`, `alertlist`. What does not: charts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import quote

from monitoring.dashboard import colours, units
from monitoring.dashboard.boards import Panel
from monitoring.dashboard.charts import mapped
from monitoring.dashboard.colours import Palette
from monitoring.dashboard.frames import Point, Rows, Series

# Colour is never the only sign.
_SIGNS = {"red": ("✖", "bad"), "orange": ("▲", "worth a look"), "green": ("✔", "good")}


@dataclass(frozen=True)
class Links:
    """What links are made with: the values of variables that addresses begin with, and the time range as a query."""

    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    time_range: str = ""

    def filled(self, url: str, row: Mapping[str, Any] | None = None) -> str:
        """An address with its variables filled in."""
        for name, value in self.variables.items():
            url = url.replace(f"${{{name}:raw}}", value)
        for name, value in (row or {}).items():
            url = url.replace(f"${{__data.fields.{name}:percentencode}}", quote(str(value), safe=""))
        return url.replace("${__url_time_range}", self.time_range)


def numbers(panel: Panel, found: Sequence[Series], on: Palette) -> str:
    """One large number for each of them."""
    names = len(found) > 1 or panel.raw["options"].get("textMode") in ("value_and_name", "name")
    return f'<div class="numbers">{"".join(_number(panel, each, on, with_name=names) for each in found)}</div>'


def _number(panel: Panel, series: Series, on: Palette, *, with_name: bool) -> str:
    value = series.points[-1][1]
    unit = panel.overrides(series.name).get("unit", panel.unit)
    word = mapped(panel).get(value)
    colour = word["color"] if word else colours.reached(panel.defaults["thresholds"]["steps"], value)
    sign, meaning = _SIGNS.get(colour, ("", ""))
    mode = panel.raw["options"].get("textMode")
    text = series.name if mode == "name" else word["text"] if word else units.shown(unit, value)
    mark = f'<span class="sign" title="{meaning}" aria-label="{meaning}">{sign}</span> ' if sign else ""
    name = f'<div class="name">{escape(series.name)}</div>' if with_name and mode != "name" else ""
    style = f"color:{on.colour(colour)}"
    value_html = f'<div class="value" style="{style}">{mark}{escape(text)}</div>'
    return f'<div class="number">{value_html}{name}{_spark(series, on)}</div>'


def _spark(series: Series, on: Palette) -> str:
    """The way here, as a small line."""
    points = _thinned(series.points)
    if len(points) < 3:
        return ""
    low, high = (bound(value for _, value in points) for bound in (min, max))
    reach, since, until = (high - low) or 1, points[0][0], points[-1][0]
    path = " ".join(f"{(at - since) / (until - since) * 100:.1f},{19 - (v - low) / reach * 18:.1f}" for at, v in points)
    stroke = f'fill="none" stroke="{on.muted}" stroke-width="1" vector-effect="non-scaling-stroke"'
    line = f'<polyline points="{path}" {stroke}/>'
    return f'<svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">{line}</svg>'


def _thinned(points: Sequence[Point], most: int = 60) -> Sequence[Point]:
    return points[:: max(1, len(points) // most)]


def table(panel: Panel, found: Rows, links: Links) -> str:
    """A table; its cells have units, links and shades as the panel says."""
    overrides = {name: panel.overrides(name) for name in found.columns}
    shown = [at for at, name in enumerate(found.columns) if not overrides[name].get("custom.hidden")]
    head = "".join(_head(found, at) for at in shown)
    body = "".join(_row(panel, found.columns, row, shown, overrides, links) for row in _ordered(panel, found))
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _head(found: Rows, at: int) -> str:
    kind = "amount" if any(isinstance(row[at], int | float) for row in found.rows) else ""
    return f'<th scope="col" class="{kind}">{escape(found.columns[at])}</th>'


def _ordered(panel: Panel, found: Rows) -> Sequence[Sequence[Any]]:
    by = [each["displayName"] for each in panel.raw["options"].get("sortBy") or ()]
    if not by or by[0] not in found.columns:
        return found.rows
    at = found.columns.index(by[0])
    return sorted(found.rows, key=lambda row: float(row[at]), reverse=True)


def _row(
    panel: Panel,
    columns: Sequence[str],
    row: Sequence[Any],
    shown: Sequence[int],
    overrides: Mapping[str, Mapping[str, Any]],
    links: Links,
) -> str:
    named = dict(zip(columns, row, strict=True))
    return f"<tr>{''.join(_cell(row[at], panel.unit, overrides[columns[at]], named, links) for at in shown)}</tr>"


def _cell(value: Any, unit: str, overrides: Mapping[str, Any], row: Mapping[str, Any], links: Links) -> str:
    text = escape(units.shown(overrides.get("unit", unit), value))
    for link in overrides.get("links", ())[:1] if value is not None else ():
        text = f'<a href="{escape(links.filled(link["url"], row))}" title="{escape(link["title"])}">{text}</a>'
    is_number = isinstance(value, int | float)
    share = min(1.0, max(0.0, float(value))) if "custom.cellOptions" in overrides and is_number else None
    style = f' style="--share:{share:.3f}"' if share is not None else ""
    kind = "shade" if share is not None else "amount" if is_number else ""
    return f'<td class="{kind}"{style}>{text}</td>'


def alerts(found: Sequence[Mapping[str, Any]], on: Palette, links: Links) -> str:
    """What fires and what is about to, with what to do about it."""
    return f'<ul class="alerts scroll" tabindex="0">{"".join(_alert(each, on, links) for each in found)}</ul>'


def _alert(alert: Mapping[str, Any], on: Palette, links: Links) -> str:
    labels, annotations = alert["labels"], alert["annotations"]
    name, severity = labels.get("alertname", ""), labels.get("severity", "")
    colour = on.colour({"critical": "red", "warning": "orange"}.get(severity, "blue"))
    said = f'<b style="color:{colour}">{escape(severity)}</b> <b>{escape(name)}</b> {escape(alert["state"])}'
    book = escape(links.filled(f"${{runbook:raw}}#{name.lower()}"))
    return f'<li>{said}<br>{escape(annotations.get("summary", ""))} <a href="{book}">Runbook</a></li>'
