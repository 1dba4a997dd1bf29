"""Asking Prometheus, and PostgreSQL as the analysts' role: read only, each question bounded in time.

What belongs here: sending, and errors in one line without addresses' passwords. What does not: what is asked
(`boards`, `filling`), and why an answer is empty (`empty`).
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg

from contract.shown import said
from resources import session
from resources.postgres import Connection, describe

_PATIENCE = 15.0
_AT_ONCE = 2
APPLICATION = "millrace-dashboard"


class Unanswered(Exception):
    """A source did not answer; the text says why and what to do."""


class Prometheus:
    """One Prometheus. Without an address it says that there is none."""

    def __init__(self, url: str | None, why_not: str = "") -> None:
        self.off = "" if url else why_not or "MILLRACE_PROMETHEUS_URL names none"
        self.client = httpx.AsyncClient(base_url=url or "http://127.0.0.1:9", timeout=_PATIENCE, trust_env=False)

    async def at_once(self, expr: str, at: float) -> list[dict[str, Any]]:
        """The series of an instant query."""
        return (await self._ask("query", query=expr, time=at))["result"]

    async def over_time(self, expr: str, low: float, high: float, step: float) -> list[dict[str, Any]]:
        """The series of a range query."""
        return (await self._ask("query_range", query=expr, start=low, end=high, step=step))["result"]

    async def alerts(self) -> list[dict[str, Any]]:
        """What fires and what is about to."""
        return (await self._ask("alerts"))["alerts"]

    async def label_values(self, label: str, metric: str) -> list[str]:
        """The values of a label that a metric has."""
        return await self._ask(f"label/{label}/values", **{"match[]": metric})

    async def _ask(self, path: str, **parameters: Any) -> Any:
        if self.off:
            raise Unanswered(f"There is no Prometheus here: {self.off}")
        try:
            answer = await self.client.get(f"/api/v1/{path}", params=parameters)
            found = answer.json()
        except (httpx.HTTPError, ValueError):
            raise Unanswered("Prometheus does not answer. Does it run? millrace status") from None
        if found.get("status") != "success":
            raise Unanswered(f"Prometheus refuses the query: {said(found.get('error', answer.status_code))}")
        return found["data"]


class Database:
    """PostgreSQL as an analyst reads it. Two threads, each with a session that it keeps while it is asked."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._threads = ThreadPoolExecutor(_AT_ONCE, "dashboard-sql")
        self._own = threading.local()

    async def ask(self, text: str) -> tuple[list[str], list[Sequence[Any]]]:
        """The names of the columns, and the rows."""
        if not self._url:
            raise Unanswered("MILLRACE_ANALYST_URL is not set: the database's address with the analysts' role in it.")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, text)
        except psycopg.Error as error:
            raise Unanswered(f"PostgreSQL does not answer: {describe(error)}. millrace doctor tells more.") from None

    def _answer(self, text: str) -> tuple[list[str], list[Sequence[Any]]]:
        try:
            return _rows(self._session(), text)
        except psycopg.OperationalError:
            if not self._session().closed:
                raise
            return _rows(self._session(), text)  # the server was restarted meanwhile

    def _session(self) -> Connection:
        kept: Connection | None = getattr(self._own, "session", None)
        if kept is None or kept.closed:
            self._own.session = kept = _connected(self._url or "")
        return kept


def _connected(url: str) -> Connection:
    """A session that only reads, also on a standby; all else as Millrace's own sessions are."""
    opened = psycopg.connect(
        url,
        autocommit=True,
        application_name=APPLICATION,
        connect_timeout=5,
        client_encoding="UTF8",
        target_session_attrs="any",
    )
    opened.execute(session.pins(statement_timeout=f"{_PATIENCE:.0f}s").encode())
    opened.execute("set default_transaction_read_only = on")
    return opened


def _rows(asked: Connection, text: str) -> tuple[list[str], list[Sequence[Any]]]:
    cursor = asked.execute(text.encode())
    return [column.name for column in cursor.description or ()], list(cursor.fetchall())


class Shared:
    """Answers that several viewers share: the same question within a few seconds is asked once."""

    def __init__(self, seconds: float = 4.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: dict[object, tuple[float, asyncio.Future[Any]]] = {}
        self._seconds = seconds
        self._clock = clock

    async def get(self, question: object, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer to a question; `ask` is called only if nobody has just asked it."""
        now = self._clock()
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
        if question not in self._kept:
            self._kept[question] = now + self._seconds, asyncio.ensure_future(ask())
        return await asyncio.shield(self._kept[question][1])
