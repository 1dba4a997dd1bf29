"""Prometheus' Pushgateway: replace, delete and list groups of metrics, each within a second, whatever the server does.

What belongs here: HTTP with one time-out for everything, credentials, and the reasons of a failure. What does not:
which metrics there are, and what a failure means for whoever pushes (`monitoring.metrics.push`).
"""

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

Reason = Literal["unreachable", "timeout", "refused"]

_LARGEST_ANSWER = 64 * 1024 * 1024
_SUCCESS = range(200, 300)


class PushFailed(Exception):
    """The Pushgateway did not take it. Neither the reason nor the text shows the URL, which may hold a password."""

    def __init__(self, reason: Reason, details: str) -> None:
        super().__init__(f"{reason}: {details}")
        self.reason: Reason = reason


@dataclass(frozen=True)
class Pushgateway:
    """Where the Pushgateway is. A connection a request: pushes are seconds apart.

    `timeout_seconds` is for a whole request, looking up the name included. `prometheus_client`'s own `push_to_gateway`
    has a time-out for each read only, so a server that sends a byte a second would hold its caller for a minute.
    """

    url: str = field(repr=False)
    timeout_seconds: float = 1.0

    def push(self, grouping: Mapping[str, str], families: Iterable[Metric]) -> None:
        """Replace a group, whose key has a `job` and no slash in its values.

        Raises:
            PushFailed: it was not replaced, or nobody knows whether it was.
        """
        self._request("PUT", _path(grouping), generate_latest(_OneRegistry(families)))

    def delete(self, grouping: Mapping[str, str]) -> None:
        """Delete a group; one that is not there is fine.

        Raises:
            PushFailed: it may still be there.
        """
        self._request("DELETE", _path(grouping))

    def groups(self) -> list[dict[str, str]]:
        """The grouping keys of every group that there is.

        Raises:
            PushFailed: it did not tell them.
        """
        try:
            answer: Any = json.loads(self._request("GET", "/api/v1/metrics"))
            return [dict(each["labels"]) for each in answer["data"]]
        except (ValueError, KeyError, TypeError):
            raise PushFailed("refused", "the answer is not that of a Pushgateway") from None

    def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        where = urlsplit(self.url)
        exchange = _Exchange(where, self.timeout_seconds)
        request = (method, where.path.rstrip("/") + path, body, _headers(where))
        # In a thread that may be left behind: neither looking up a name nor a TLS handshake can be given a time-out.
        thread = threading.Thread(target=exchange.run, args=request, name="pushgateway", daemon=True)
        thread.start()
        thread.join(self.timeout_seconds)
        if thread.is_alive():
            exchange.give_up()
            raise PushFailed("timeout", f"no answer within {self.timeout_seconds:g} s")
        return exchange.outcome()


class _Exchange:
    """One request and its answer, in a thread of its own."""

    def __init__(self, where: SplitResult, seconds: float) -> None:
        make = HTTPSConnection if where.scheme == "https" else HTTPConnection
        self._connection = make(where.hostname or "", where.port, timeout=seconds)
        self._until = time.monotonic() + seconds
        self._body = b""
        self._failure: PushFailed | None = None

    def run(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> None:
        try:
            self._connection.connect()
            if time.monotonic() > self._until:
                return  # given up: old values must not arrive late
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            self._body = answer.read(_LARGEST_ANSWER)
            if answer.status not in _SUCCESS:
                self._failure = PushFailed("refused", f"HTTP status {answer.status}")
        except TimeoutError:
            self._failure = PushFailed("timeout", "no answer in time")
        except ssl.SSLCertVerificationError as error:
            self._failure = PushFailed("unreachable", f"certificate: {error.verify_message}")
        except (OSError, HTTPException, ValueError) as error:
            self._failure = PushFailed("unreachable", type(error).__name__)
        finally:
            self._connection.close()

    def outcome(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        return self._body

    def give_up(self) -> None:
        """Wake the thread, wherever it waits for the server, so that it ends."""
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)


class _OneRegistry:
    """Families as a registry, which is what `generate_latest` takes."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _path(grouping: Mapping[str, str]) -> str:
    job_first = sorted(grouping.items(), key=lambda each: each[0] != "job")
    return "/metrics" + "".join(f"/{name}/{quote(value, safe='')}" for name, value in job_first)


def _headers(where: SplitResult) -> dict[str, str]:
    headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
    if where.username is not None:
        pair = f"{unquote(where.username)}:{unquote(where.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return headers
