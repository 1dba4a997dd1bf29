"""`millrace dashboard` running for a test, and a real browser that looks at it. Assertions do not belong here."""

import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from playwright.sync_api import Page, ViewportSize, sync_playwright

from infra.local import ports
from infra.local.services import answers_http, tail
from tests.dagster_runtime.rig import MILLRACE, REPOSITORY, eventually

WIDE: ViewportSize = {"width": 1600, "height": 1000}
PHONE: ViewportSize = {"width": 390, "height": 844}
SCRAPE = 20  # of `demo_data`
_PATIENCE = 120_000
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Colours that are no grey: of lines, bars and cells, not of axes and texts.
_PAINTED = """(panel) => [...panel.querySelectorAll("canvas")].some((canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    const [r, g, b, a] = pixels.slice(at, at + 4);
    if (a > 60 && Math.max(r, g, b) - Math.min(r, g, b) > 40 && ++found > 25) return true;
  }
  return false;
})"""


class Seen(NamedTuple):
    """What is seen of a panel: waiting, drawn, empty or error; its text; whether its chart has coloured shapes."""

    state: str
    text: str
    kind: str
    is_painted: bool


class Look(NamedTuple):
    """What a browser saw of a page."""

    panels: dict[str, Seen]
    problems: list[str]
    is_too_wide: bool
    background: str


def chromium() -> str:
    """The path of a browser; the test is skipped where there is none."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"there is no browser on the PATH: {', '.join(_NAMES)}")
    return found


@contextmanager
def serving(directory: Path, **settings: str) -> Generator[str]:
    """The URL of the dashboards, with these settings and no others of Millrace's."""
    [port] = ports.free(1)
    others = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    environment = {**others, **settings, "PYTHONPATH": str(REPOSITORY)}
    command = (*MILLRACE, "dashboard", "--port", str(port), "--scrape", str(SCRAPE))
    with (directory / "dashboard.log").open("wb") as log:
        process = psutil.Popen(command, env=environment, stdout=log, stderr=log, cwd=directory)
    try:
        eventually(lambda: answers_http(port, "/health") or not process.is_running(), 180, "the dashboards are served")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
        print(tail(directory / "dashboard.log"))


@contextmanager
def browsing(size: ViewportSize, *, is_dark: bool = False) -> Generator[Page]:
    """A page of a browser with a window of that size."""
    scheme: Any = "dark" if is_dark else "light"
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport=size, color_scheme=scheme)
        page.set_default_timeout(_PATIENCE)
        try:
            yield page
        finally:
            browser.close()


def look(page: Page, base: str, path: str, only: Iterable[str] = ()) -> Look:
    """Open a page, scroll to every panel (or to some, by title), and wait until each shows something."""
    problems: list[str] = []
    page.on("console", lambda told: problems.append(f"console: {told.text}") if told.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    own = (base, base.replace("http", "ws"), "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(own) else problems.append(f"elsewhere: {asked.url}"))
    page.goto(base + path)
    page.wait_for_selector("[data-panel]")
    wanted = list(only)
    numbers = [
        (str(each.get_attribute("data-panel")), each.query_selector(".title").inner_text())  # pyright: ignore[reportOptionalMemberAccess]
        for each in page.query_selector_all("[data-panel]")
    ]
    found = {title: _seen(page, number) for number, title in numbers if not wanted or title in wanted}
    is_too_wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return Look(found, problems, is_too_wide, page.evaluate("getComputedStyle(document.body).backgroundColor"))


def _seen(page: Page, number: str) -> Seen:
    panel = page.locator(f'[data-panel="{number}"]')
    panel.scroll_into_view_if_needed()
    page.wait_for_selector(f'[data-panel="{number}"]:not([data-state="waiting"])')
    state, kind = str(panel.get_attribute("data-state")), str(panel.get_attribute("class"))
    has_chart = panel.locator(".chart").count() > 0
    if has_chart:
        page.wait_for_function(_PAINTED, arg=panel.element_handle())
    return Seen(state, panel.locator(".body").inner_text(), kind, has_chart)
