"""A Prometheus with a history: `demo_data` backfilled, the project's rules evaluated on it every second.

What belongs here: running it and asking it. What does not: the data.
"""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local import ports
from tests.monitoring import demo_data
from tests.monitoring.grafana_queries import ROOT
from tests.support.monitoring import program


@contextmanager
def remembering(home: Path, recorded: Collection[str]) -> Generator[str]:
    """The URL of a Prometheus with a history of all metrics, once the rules have recorded these series on it."""
    (home / "history.txt").write_text(demo_data.history(time.time()), encoding="utf-8")
    blocks = ("tsdb", "create-blocks-from", "openmetrics", "--quiet", "history.txt", "data")
    subprocess.run((program("promtool"), *blocks), cwd=home, check=True, capture_output=True, timeout=60)
    rules = ROOT / "monitoring" / "prometheus" / "rules" / "*.yml"
    settings = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(rules)]}
    (home / "prometheus.yml").write_text(json.dumps(settings), encoding="utf-8")
    [port] = ports.free(1)
    options = (f"--web.listen-address=127.0.0.1:{port}", "--config.file=prometheus.yml", "--storage.tsdb.path=data")
    # What was written once is the newest for as long as a slow machine takes to look at it.
    options = (*options, "--query.lookback-delta=30m")
    with (home / "log").open("w") as log:
        process = subprocess.Popen((program("prometheus"), *options), cwd=home, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        # A page's time ends up to ten seconds before now, so that viewers ask the same.
        _await(lambda: all(ask(url, "query", query=name, time=time.time() - 11) for name in recorded), home / "log")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def ask(url: str, path: str, **parameters: object) -> Any:
    """What Prometheus answers; an error is raised with its text."""
    asked = urllib.parse.urlencode(parameters)
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{asked}", timeout=20) as answer:  # noqa: S310
            found = json.load(answer)["data"]
            return found["result"] if isinstance(found, dict) else found
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from None


def _await(answer: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if answer():
                return
        except (OSError, AssertionError):  # not there yet, or still loading
            pass
        time.sleep(0.2)
    raise AssertionError(f"Prometheus records too little: {log.read_text()[-2000:]}")
