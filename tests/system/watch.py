"""A Prometheus and an Alertmanager that watch a stack in a hurry, and a receiver of their alerts.

What belongs here: Millrace's own rules and routes with their minutes made seconds, the programs, what arrives. What
does not: assertions. Only time is changed: expressions, thresholds, labels and routes are those that on-call has.
"""

import json
import re
import threading
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import yaml

from infra.local import binaries, ports
from infra.local.services import answers_http
from tests.system.system import eventually

MONITORING = Path(__file__).parents[2] / "monitoring"
_FASTER = 30
_SHORTEST = 5  # seconds: a window needs some pushes and scrapes
_WINDOW = re.compile(r"\[(\d+)m\]")


def hurried(rules: Any) -> Any:
    """Rules in which every minute of waiting, and of a range in minutes, is two seconds, of a range five at least."""
    if isinstance(rules, list):
        return [hurried(each) for each in rules]
    if isinstance(rules, dict):
        return {name: _shorter(value) if name in _WAITS else hurried(value) for name, value in rules.items()}
    if isinstance(rules, str):
        return _WINDOW.sub(lambda found: f"[{max(_SHORTEST, int(found[1]) * 60 // _FASTER)}s]", rules)
    return rules


_WAITS = ("for", "keep_firing_for", "interval", "group_wait", "group_interval")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _shorter(value: str) -> str:
    seconds = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", value))
    return f"{max(1, seconds // _FASTER)}s"


@dataclass
class Received:
    """What the webhook was sent, in order."""

    alerts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def of(self, name: str, status: str) -> list[dict[str, Any]]:
        """The alerts of a name that arrived as `firing` or `resolved`."""
        return [a for a in list(self.alerts) if a["labels"]["alertname"] == name and a["status"] == status]


@dataclass
class Watch:
    """What watches a stack."""

    received: Received
    prometheus: str

    def expect(self, name: str, status: str = "firing", seconds: float = 90, **labels: str) -> dict[str, Any]:
        """The alert, when it has arrived at the webhook."""

        def arrived() -> dict[str, Any] | None:
            found = self.received.of(name, status)
            return next((a for a in found if labels.items() <= a["labels"].items()), None)

        return eventually(arrived, seconds=seconds)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The answer of an instant query."""
        with urlopen(f"{self.prometheus}/api/v1/query?query={quote(expression)}", timeout=10) as answer:  # noqa: S310
            return json.load(answer)["data"]["result"]


@contextmanager
def webhook() -> Generator[tuple[str, Received]]:
    """A receiver of alerts: its URL, and what it received."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.alerts.extend(body["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def watching(directory: Path, pushgateway: str) -> Generator[Watch]:
    """Watch the Pushgateway at `host:port`."""
    directory.mkdir(parents=True, exist_ok=True)
    prometheus, alertmanager = ports.free(2, [])
    with webhook() as (url, received), ExitStack() as cleanup:
        _write(directory, pushgateway, url, prometheus=prometheus, alertmanager=alertmanager)
        for name, port, arguments in (
            ("alertmanager", alertmanager, ("--cluster.listen-address=",)),
            ("prometheus", prometheus, ()),
        ):
            storage = f"--storage.{'tsdb.' if name == 'prometheus' else ''}path={directory / name}-data"
            config = f"--config.file={directory / name}.yml"
            listen = f"--web.listen-address=127.0.0.1:{port}"
            program = str(binaries.monitoring(name))
            log = cleanup.enter_context((directory / f"{name}.log").open("wb"))
            process = Popen([program, config, storage, listen, *arguments], stdout=DEVNULL, stderr=log)
            cleanup.callback(_end, process)
            eventually(lambda port=port: answers_http(port, "/-/ready"))
        yield Watch(received, f"http://127.0.0.1:{prometheus}")


def _end(process: "Popen[bytes]") -> None:
    process.terminate()
    process.wait(20)


def _write(directory: Path, pushgateway: str, url: str, *, prometheus: int, alertmanager: int) -> None:
    scrape: Mapping[str, Any] = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(directory / "rules-*.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
        "scrape_configs": [
            {"job_name": "pushgateway", "honor_labels": True, "static_configs": [{"targets": [pushgateway]}]}
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(scrape))
    for path in (MONITORING / "prometheus" / "rules").glob("*.yml"):
        (directory / f"rules-{path.name}").write_text(yaml.safe_dump(hurried(yaml.safe_load(path.read_text()))))
    routes = hurried(yaml.safe_load((MONITORING / "alertmanager" / "alertmanager.yml").read_text()))
    for receiver in routes["receivers"]:
        receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(routes))
