"""A real Alertmanager with our routes in a hurry, and what it tells whom.

What belongs here: running it, posting alerts, receiving. What does not: assertions.
"""

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from infra.local import ports
from infra.local.services import answers_http
from tests.monitoring.rules import MONITORING
from tests.support import monitoring

CONFIG = MONITORING / "alertmanager" / "alertmanager.yml"
Labels = Mapping[str, str]


@cache
def config() -> Any:
    """Who is told what."""
    return yaml.safe_load(CONFIG.read_text(encoding="utf-8"))


def until(true: Callable[[], object], within: float = 20) -> None:
    """Wait for something."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@dataclass
class Notified:
    """A running Alertmanager, and its notifications in their order: of each the labels of its alerts by status."""

    port: int
    notifications: list[dict[str, list[Labels]]] = field(default_factory=list[dict[str, list[Labels]]])

    def post(self, alerts: Iterable[Labels], *, ended: bool = False) -> None:
        """Say that they fire, or that they are over, as Prometheus says it."""
        over = {"endsAt": datetime.now(UTC).isoformat()} if ended else {}
        body = json.dumps([{"labels": dict(labels), **over} for labels in alerts]).encode()
        url = f"http://127.0.0.1:{self.port}/api/v2/alerts"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310

    def told(self, status: str = "firing") -> list[str]:
        """The alerts that somebody was told of, each once, as text."""
        found = [labels for each in list(self.notifications) for labels in each[status]]
        return sorted({json.dumps(labels, sort_keys=True) for labels in found})


@contextmanager
def alertmanager(directory: Path) -> Generator[Notified]:
    """A real Alertmanager with our routes and inhibition, which waits for a second only."""
    [port] = ports.free(1, [])
    notified = Notified(port)
    with _receiver(notified) as url:
        (directory / "alertmanager.yml").write_text(yaml.safe_dump(_hurried(url)), encoding="utf-8")
        command = [str(monitoring.program("alertmanager")), f"--config.file={directory}/alertmanager.yml"]
        command += [f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={directory}/data"]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen([*command, "--cluster.listen-address="], stderr=log, stdout=log)
        try:
            until(lambda: answers_http(port, "/-/ready"))
            yield notified
        finally:
            process.terminate()
            process.wait(20)


def _hurried(url: str) -> Any:
    hurried = json.loads(json.dumps(config()))
    for route in (hurried["route"], *hurried["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    hurried["receivers"][0]["webhook_configs"] = [{"url": url, "send_resolved": True}]
    return hurried


@contextmanager
def _receiver(notified: Notified) -> Generator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"]
            by_status = {s: [a["labels"] for a in found if a["status"] == s] for s in ("firing", "resolved")}
            notified.notifications.append(by_status)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
