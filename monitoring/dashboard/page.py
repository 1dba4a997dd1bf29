"""A dashboard's page: what can be chosen at its top, its cards below, and the clock that keeps them up to date.

What belongs here: one viewer's page. What does not: panels (`cards`), sources (`asking`), the server (`server`).
Nothing of it goes on when the viewer has gone: the clock belongs to the page.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from monitoring.dashboard.asking import Asking, PageState
from monitoring.dashboard.boards import Board, Json, boards
from monitoring.dashboard.cards import Card
from monitoring.dashboard.filling import ALL, seconds
from monitoring.dashboard.sources import Unanswered

SPANS = ("15m", "1h", "6h", "24h", "2d", "7d", "30d", "90d", "365d")
REFRESHES = ("off", "5s", "10s", "30s", "1m", "5m")
_AT_ONCE = 6


class Page:
    """What one viewer looks at."""

    def __init__(self, board: Board, asking: Asking, query: Mapping[str, Sequence[str]]) -> None:
        given = {name.removeprefix("var-"): tuple(v) for name, v in query.items() if name.startswith("var-")}
        since = (query.get("from") or [""])[0].removeprefix("now-")
        known = {**board.initial, **{name: value for name, value in given.items() if name in board.initial}}
        self.view = PageState(board, since if _is_span(since) else board.since, known)
        refresh = (query.get("refresh") or [""])[0]
        self._refresh = refresh if refresh in REFRESHES else board.refresh
        self._asking, self._is_shown = asking, True
        self._cards: list[Card] = []
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def build(self) -> None:
        """Everything but the answers."""
        with ui.element("header").classes("top"):
            self._head()
        with ui.element("main"):
            for section in self.view.board.sections:
                ui.label(section.title).props("role=heading aria-level=2").classes("section")
                with ui.element("div").classes("panels"):
                    self._cards += [Card(panel, self._asking.links(self.view)) for panel in section.panels]
        ui.on("seen", lambda event: self._see(event.args))
        ui.on("shown", lambda event: self._turn(event.args))
        ui.timer(1.0, self._tick)

    async def begin(self) -> None:
        """Once the browser is there: ask it what it looks like, and for which panels are in view."""
        await ui.context.client.connected(timeout=30)
        self.view = replace(self.view, dark=bool(await ui.run_javascript("millraceBegin()", timeout=10)))

    def _head(self) -> None:
        with ui.element("nav").props('aria-label="Dashboards"'):
            for uid, board in boards().items():
                here = " aria-current=page" if uid == self.view.board.uid else ""
                ui.link(board.title, f"/d/{uid}").props(f'title="{board.description}"{here}')
        with ui.element("div").classes("choices"):
            for variable in self.view.board.choices:
                self._choice(variable)
            spans = {each: f"last {each}" for each in dict.fromkeys([*SPANS, self.view.since])}
            ui.select(spans, value=self.view.since, label="Time range", on_change=lambda e: self._choose_span(e.value))
            every = {each: each for each in dict.fromkeys([*REFRESHES, self._refresh])}
            ui.select(every, value=self._refresh, label="Refresh", on_change=lambda e: self._choose_refresh(e.value))
            with ui.button(on_click=lambda: ui.run_javascript("millraceTheme()")).props("flat dense no-caps"):
                ui.label("◐ light/dark")

    def _choice(self, variable: Json) -> None:
        name, label = variable["name"], variable["label"]
        value = self.view.variables[name]
        if variable["type"] == "textbox":
            field = ui.input(label, value="".join(value)).props("debounce=600 clearable")
            field.on_value_change(lambda e: self._choose(name, (e.value or "",)))
        elif variable["type"] == "query":
            field = ui.select({**{v: v for v in value}, ALL: "All"}, value=list(value), label=label, multiple=True)
            field.on_value_change(lambda e: self._choose_some(name, field, e.value))
            ui.timer(0.1, lambda: self._offer(variable, field), once=True)
        else:
            offered = [each["value"] for each in variable["options"]]
            ui.select(offered, value=value[0], label=label, on_change=lambda e: self._choose(name, (e.value,)))

    async def _offer(self, variable: Json, field: ui.select) -> None:
        try:
            found = await self._asking.options(variable)
        except Unanswered:  # its panels say so
            return
        field.set_options(
            {ALL: "All", **{each: each for each in (*self.view.variables[variable["name"]], *found)}} | {ALL: "All"}
        )

    def _choose_some(self, name: str, field: ui.select, chosen: list[str]) -> None:
        """All, or some: the newest click decides."""
        before = self.view.variables[name]
        some = [each for each in chosen if each != ALL]
        value = (ALL,) if not some or (ALL in chosen and ALL not in before) else tuple(some)
        if list(value) != chosen:
            field.set_value(list(value))
        elif value != before:
            self._choose(name, value)

    def _choose(self, name: str, value: tuple[str, ...]) -> None:
        self._changed(replace(self.view, variables={**self.view.variables, name: value}))

    def _choose_span(self, since: str) -> None:
        self._changed(replace(self.view, since=since))

    def _choose_refresh(self, refresh: str) -> None:
        self._refresh = refresh
        self._changed(self.view)

    def _changed(self, view: PageState) -> None:
        """What somebody chooses is in the address, so that it can be sent to somebody else."""
        self.view = view
        board = view.board
        some = {f"var-{name}": value for name, value in view.variables.items() if value != board.initial[name]}
        query = {"from": f"now-{view.since}", "to": "now", "refresh": self._refresh, **some}
        ui.navigate.history.replace(f"/d/{board.uid}?{urlencode(query, doseq=True)}")
        for card in self._cards:
            card.forget()

    def _see(self, seen: Mapping[str, bool]) -> None:
        for card in self._cards:
            card.is_seen = seen.get(str(card.panel.number), card.is_seen)

    def _turn(self, browser: Mapping[str, Any]) -> None:
        """The tab was hidden or shown, or the theme has changed."""
        self._is_shown = bool(browser["shown"])
        if (dark := bool(browser["dark"])) != self.view.dark:
            self.view = replace(self.view, dark=dark)
            for card in self._cards:
                card.forget()

    async def _tick(self) -> None:
        if not self._is_shown:
            return
        every = None if self._refresh == "off" else float(seconds(self._refresh))
        await asyncio.gather(*(self._draw(card) for card in self._cards if card.is_due(every)))

    async def _draw(self, card: Card) -> None:
        async with self._gate:
            await card.draw(lambda panel: self._asking.drawing(panel, self.view))


def _is_span(text: str) -> bool:
    try:
        return seconds(text) > 0
    except ValueError:
        return False
