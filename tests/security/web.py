"""A running `millrace webserver` for tests, asked as a browser or a program would. Assertions do not belong here."""

import json
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
from websockets.sync.client import ClientConnection, connect

from infra.local import ports
from infra.local.harness import running
from infra.local.services import answers_tcp
from tests.dagster_runtime.rig import MILLRACE, REPOSITORY, eventually

HOST = "millrace.example.org"


@dataclass(frozen=True)
class WebServer:
    """A running one."""

    port: int

    @property
    def origin(self) -> str:
        """Its own, as a browser says it."""
        return f"http://localhost:{self.port}"

    def ask(
        self, path: str = "/server_info", method: str = "GET", body: str | None = None, /, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {"Host": f"localhost:{self.port}", **{n.replace("_", "-"): v for n, v in headers.items()}}
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in named.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(None if body is None else body.encode())
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace"), {k.lower(): v for k, v in answer.headers.items()}

    def graphql(self, query: str, /, **headers: str) -> tuple[int, str]:
        """By POST, as JSON, unless the headers say otherwise."""
        named = {"Content_Type": "application/json", **headers}
        return self.ask("/graphql", "POST", json.dumps({"query": query}), **named)[:2]

    def websocket(self, origin: str | None = None, host: str = "localhost") -> ClientConnection:
        """One for subscriptions."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        own: Any = {"origin": origin, "subprotocols": ["graphql-ws"], "open_timeout": 60}
        return connect(f"ws://{host}:{self.port}/graphql", sock=client, **own)


@contextmanager
def web_server(directory: Path) -> Generator[WebServer]:
    """PostgreSQL for Dagster's tables, and the server; there is no code server, which it does without."""
    with running(directory / "services", ("postgres", "broker")) as services:
        [port] = ports.free(1)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")},
            **services.environment,
            "MILLRACE_REDIS_URL": services.environment["MILLRACE_BROKER_URL"],
            "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
            "MILLRACE_CODE_SERVER_HOST": "127.0.0.1",
            "MILLRACE_CODE_SERVER_PORT": "9",
            "MILLRACE_WEBSERVER_HOSTS": HOST,
            "DAGSTER_HOME": str(directory / "home"),
            "PYTHONPATH": str(REPOSITORY),
        }
        with (directory / "webserver.log").open("wb") as log:
            command = (*MILLRACE, "webserver", "--port", str(port))
            process = psutil.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            eventually(lambda: answers_tcp(port) or not process.is_running(), 180, "the web server listens")
            yield WebServer(port)
        finally:
            process.terminate()
            process.wait(60)
