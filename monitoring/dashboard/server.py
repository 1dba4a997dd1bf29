"""The web server of the dashboards: an ASGI app, and the process that serves it.

What belongs here: routes and start-up. What does not: who is refused (handed in as a wrapper around the app).
"""

import logging
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from nicegui import ui
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from monitoring.dashboard.asking import Asking
from monitoring.dashboard.boards import boards
from monitoring.dashboard.page import Page

_DOCS = Path(__file__).parents[2] / "docs"
FIRST = "millrace-pipeline"


def has_runbook() -> bool:
    """Whether this is a checkout, which has it."""
    return (_DOCS / "runbook.md").exists()


def document(path: str) -> str | None:
    """The text of a document by its path below docs/; None where there is none, or nothing to be shown."""
    found = (_DOCS / path).resolve()
    is_there = found.is_relative_to(_DOCS) and found.suffix == ".md" and found.is_file()
    return found.read_text(encoding="utf-8") if is_there else None


def app(asking: Asking) -> FastAPI:
    """The pages. One an interpreter: NiceGUI keeps its pages in its module."""
    made = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @made.get("/")
    def first() -> Response:
        return RedirectResponse(f"/d/{FIRST}")

    @made.get("/health")
    def health() -> Response:
        return PlainTextResponse("ok")

    @ui.page("/d/{uid}")
    async def page(uid: str, request: Request) -> None:
        if uid not in boards():
            ui.navigate.to("/")
            return
        board = boards()[uid]
        ui.page_title(f"Millrace: {board.title}")
        found = Page(board, asking, {name: request.query_params.getlist(name) for name in request.query_params})
        _dress()
        found.build()
        await found.begin()

    @ui.page("/docs/{path:path}")
    async def documents(path: str) -> None:
        await _show(path)

    @ui.page("/runbook")
    async def runbook() -> None:
        await _show("runbook.md")

    ui.run_with(
        made,
        title="Millrace",
        dark=None,
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=30,
        message_history_length=200,
        show_welcome_message=False,
    )
    return made


async def _show(path: str) -> None:
    """A document, as far as this is a checkout, which has them."""
    ui.page_title(f"Millrace: {path.removesuffix('.md').capitalize()}")
    _dress()
    with ui.element("main").classes("runbook"):
        text = document(path) or f"There is no document {path!r} here. Documents are in docs/ of the repository."
        ui.markdown(text, extras=["fenced-code-blocks", "tables", "header-ids"])
    await ui.context.client.connected(timeout=30)
    ui.run_javascript("millraceTo(location.hash)")


def _dress() -> None:
    here = resources.files(__package__ or "monitoring.dashboard")
    ui.add_css(here.joinpath("style.css").read_text(encoding="utf-8"))
    script = here.joinpath("page.js").read_text(encoding="utf-8")
    ui.add_head_html(f"<script>{re.sub(r'(?m)^//.*$', '', script)}</script>")


def serve(asking: Asking, guarded: Callable[[Any], Any], host: str, port: int) -> None:
    """Serve until the process is ended."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log a line for each question
    uvicorn.run(
        guarded(app(asking)), host=host, port=port, log_level="warning", access_log=False, ws="websockets-sansio"
    )
