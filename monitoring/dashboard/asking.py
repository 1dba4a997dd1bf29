"""From a panel and what is chosen to what is to be drawn: asks its sources, and picks the drawing.

What belongs here: one panel's way. What does not: the page (`page`), the queries' text (`filling`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitoring.dashboard import charts, colours, empty, frames, markup, plots
from monitoring.dashboard.boards import Board, Panel, Target
from monitoring.dashboard.filling import ALL, Filler, seconds
from monitoring.dashboard.frames import Frame
from monitoring.dashboard.markup import Links
from monitoring.dashboard.sources import Database, Prometheus, Shared, Unanswered

_POINTS = 240
SCRAPE = 5  # seconds, as the datasource is provisioned for Grafana; a test compares


@dataclass(frozen=True)
class Drawing:
    """What a panel shows: a chart, a text as HTML, or in words why there is neither."""

    chart: Mapping[str, Any] | None = None
    html: str = ""
    empty: str = ""
    error: str = ""


@dataclass(frozen=True)
class PageState:
    """What a person has chosen on a page."""

    board: Board
    since: str
    variables: Mapping[str, tuple[str, ...]]
    dark: bool = False


class Asking:
    """The sources of all pages."""

    def __init__(
        self, prometheus: Prometheus, database: Database, links: Mapping[str, str], scrape: int = SCRAPE
    ) -> None:
        self.prometheus, self.database, self._links = prometheus, database, links
        self._shared, self._scrape = Shared(), scrape

    async def drawing(self, panel: Panel, view: PageState) -> Drawing:
        """What a panel is to show now."""
        try:
            view = await self._with_all(view)
            filler = self.filler(panel, view, time.time())
            if panel.kind == "alertlist":
                return await self._alerts(panel, view)
            found = [await self._frame(panel, each, filler) for each in panel.targets]
            made = self.drawn(panel, view, found, filler)
            return made or Drawing(empty=empty.reason(panel, await self._facts(panel, view)))
        except Unanswered as error:
            return Drawing(error=str(error))

    async def options(self, variable: Mapping[str, Any]) -> list[str]:
        """What a variable offers."""
        if variable["type"] != "query":
            return [each["value"] for each in variable.get("options", ())]
        asked = variable["query"]
        if isinstance(asked, str):
            _, rows = await self._shared.get(asked, lambda: self.database.ask(asked))
            return [str(row[0]) for row in rows]
        metric, label = asked["query"].removeprefix("label_values(").removesuffix(")").split(", ")
        return await self._shared.get((metric, label), lambda: self.prometheus.label_values(label, metric))

    async def _with_all(self, view: PageState) -> PageState:
        """`All` stands for every value that there is, or for whatever the variable says instead."""
        chosen = dict(view.variables)
        for each in view.board.choices:
            if chosen.get(each["name"]) == (ALL,):
                given = each.get("allValue")
                chosen[each["name"]] = (given,) if given else tuple(await self.options(each))
        return replace(view, variables=chosen)

    def filler(self, panel: Panel, view: PageState, now: float) -> Filler:
        """What the panel's queries are filled with."""
        since = timedelta(seconds=seconds(panel.raw.get("timeFrom") or view.since))
        least = seconds(panel.raw.get("interval") or f"{SCRAPE}s")
        made = Filler(since, datetime.fromtimestamp(now, UTC), view.variables, least, self._scrape, _POINTS)
        step = made.interval  # viewers who ask within one step ask the same
        return replace(made, until=datetime.fromtimestamp(now // min(step, 10) * min(step, 10), UTC))

    async def _frame(self, panel: Panel, target: Target, filler: Filler) -> Frame:
        end = filler.until.timestamp()
        if target.kind == "postgres":
            text = filler.postgres(target.text)
            columns, rows = await self._shared.get(text, lambda: self.database.ask(text))
            return frames.of_postgres(columns, rows, target.form)
        expr, begin = filler.prometheus(target.text), end - filler.since.total_seconds()
        if target.is_instant:
            found = await self._shared.get((expr, end), lambda: self.prometheus.at_once(expr, end))
            if target.form == "table":
                return frames.table_of_prometheus(found)
        else:
            asked = (expr, begin, end, filler.interval)
            found = await self._shared.get(asked, lambda: self.prometheus.over_time(*asked))
        return frames.of_prometheus(found, target.legend, panel.title)

    def drawn(self, panel: Panel, view: PageState, found: list[Frame], filler: Filler) -> Drawing | None:
        """The drawing, or none where there is nothing to draw."""
        on, high = colours.palette(dark=view.dark), filler.until.timestamp()
        span = charts.Span(high - filler.since.total_seconds(), high, filler.interval)
        lines, table = frames.lines(found), frames.table(found)
        match panel.kind:
            case "timeseries" if lines:
                return Drawing(chart=charts.over_time(panel, lines, span, on))
            case "heatmap" if lines:
                return Drawing(chart=plots.density(panel, lines, span, on))
            case "state-timeline" if lines:
                return Drawing(chart=plots.states(panel, lines, span, on))
            case "bargauge" if ranked := plots.ranked(found):
                return Drawing(chart=plots.bars(panel, ranked, on))
            case "stat" if numbers := frames.numbers(found):
                return Drawing(html=markup.numbers(panel, numbers, on))
            case "table" if table.rows:
                return Drawing(html=markup.table(panel, table, self.links(view)))
            case _:
                return None

    async def _alerts(self, panel: Panel, view: PageState) -> Drawing:
        found = await self._shared.get("alerts", self.prometheus.alerts)
        ours = [each for each in found if each["labels"].get("alertname", "").startswith("Millrace")]
        if not ours:
            return Drawing(empty=empty.reason(panel, await self._facts(panel, view)))
        return Drawing(html=markup.alerts(ours, colours.palette(dark=view.dark), self.links(view)))

    def links(self, view: PageState) -> Links:
        """What the links of a page begin with, and its time range."""
        return Links(self._links, f"from=now-{view.since}&to=now")

    async def _facts(self, panel: Panel, view: PageState) -> empty.Facts:
        named = {each["name"]: each["label"] for each in view.board.choices if each["type"] == "textbox"}
        typed = {label: "".join(view.variables.get(name, ())) for name, label in named.items()}
        typed = {label: value for label, value in typed.items() if value}
        texts = " ".join(target.text for target in panel.targets)
        # Such a panel compares with what is typed in, even where nothing is.
        needs = tuple(named.values()) if "${user:sqlstring} or" in texts and not typed else ()
        used = {label: value for label, value in typed.items() if any(f"${{{n}:" in texts for n in named)}
        since = panel.raw.get("timeFrom") or view.since
        return empty.Facts(await self._has_events(panel), await self._has_metrics(panel, since), since, used, needs)

    async def _has_events(self, panel: Panel) -> bool:
        if not any(target.kind == "postgres" for target in panel.targets):
            return True
        text = "select exists (select from raw.events)"
        _, rows = await self._shared.get(text, lambda: self.database.ask(text))
        return bool(rows[0][0])

    async def _has_metrics(self, panel: Panel, since: str) -> bool:
        if not any(target.kind == "prometheus" for target in panel.targets):
            return True
        expr, now = f"count_over_time(millrace_build_info[{since}])", time.time()
        return bool(await self._shared.get(expr, lambda: self.prometheus.at_once(expr, now)))
