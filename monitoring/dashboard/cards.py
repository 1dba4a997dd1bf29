"""A panel's place on a page: it is drawn when it comes into view, and again when it is due.

What belongs here: one card. What does not: what is drawn (`asking`), the page around it (`page`).
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from monitoring.dashboard.asking import Drawing
from monitoring.dashboard.boards import Panel
from monitoring.dashboard.markup import Links

_LOG = logging.getLogger(__name__)
Draw = Callable[[Panel], Awaitable[Drawing]]


class Card:
    """One panel. Made before its answers are there, so that the page stands at once."""

    def __init__(self, panel: Panel, links: Links) -> None:
        self.panel = panel
        self.is_seen = False
        self._drawn_at = 0.0
        self._is_busy = False
        self._chart: ui.echart | None = None
        with ui.element("section").classes(f"panel kind-{panel.kind}") as self._card:
            self._card.style(f"--w:{panel.width};--h:{panel.height}").props(f'data-panel="{panel.number}"')
            self._card.props("data-state=waiting")
            with ui.element("header"):
                ui.label(panel.title).props("role=heading aria-level=3").classes("title")
                _about(panel, links)
            self._body = ui.element("div").classes("body")
            with self._body:
                ui.label("…").classes("note")

    def is_due(self, every: float | None) -> bool:
        """Whether it is in view and its answers are older than that; None: whether it has none yet."""
        if not self.is_seen or self._is_busy:
            return False
        return not self._drawn_at or (every is not None and time.monotonic() - self._drawn_at >= every)

    def forget(self) -> None:
        """Draw it anew when it is next in view: something else was chosen."""
        self._drawn_at = 0.0

    async def draw(self, ask: Draw) -> None:
        """Ask and show."""
        self._is_busy, self._drawn_at = True, time.monotonic()
        try:
            drawing = await ask(self.panel)
        except Exception:  # noqa: BLE001 - one panel that fails leaves the others alone
            _LOG.exception("the panel %r cannot be drawn", self.panel.title)
            drawing = Drawing(error="This panel cannot be drawn; the dashboard's log says why.")
        finally:
            self._is_busy = False
        if not self._card.is_deleted:
            self._show(drawing)

    def _show(self, drawing: Drawing) -> None:
        state = "error" if drawing.error else "empty" if drawing.empty else "drawn"
        self._card.props(f"data-state={state}")
        if drawing.chart is not None and self._chart is not None:
            self._chart.options.clear()
            self._chart.options.update(drawing.chart)
            self._chart.update()
            return
        self._body.clear()
        self._chart = None
        with self._body:
            self._fill(drawing)

    def _fill(self, drawing: Drawing) -> None:
        if drawing.chart is not None:
            self._chart = ui.echart(_plain(drawing.chart)).classes("chart")
        elif drawing.html:
            # Escaped when it was made, and cleaned once more in the browser.
            ui.html(drawing.html, sanitize=True).classes("text")
        else:
            role = "alert" if drawing.error else "note"
            ui.label(drawing.error or drawing.empty).classes("note").props(f"role={role}")


def _plain(chart: Any) -> dict[str, Any]:
    return dict(chart)


def _about(panel: Panel, links: Links) -> None:
    """What the panel means, and where to read more."""
    with ui.element("details").classes("about"):
        with ui.element("summary").props(f'aria-label="About this panel" title="{_quoted(panel.description)}"'):
            ui.label("i")
        with ui.element("div").classes("more"):
            ui.label(panel.description)
            for link in (*panel.raw.get("links", ()), *panel.defaults.get("links", ())):
                if "${__" not in link["url"]:
                    ui.link(link["title"], links.filled(link["url"]), new_tab=True)


def _quoted(text: str) -> str:
    return text.replace('"', "'")
