"""A whole stack, as `millrace up` starts it, and what a test does with it.

What belongs here: producing, killing, waiting, asking. What does not: assertions.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from click.testing import CliRunner

from infra.local import observe, processes, state
from infra.local.stack import Stack
from orchestration.cli import programs
from orchestration.cli.reconcile import reconcile
from producer.sent_log import SentEntry, read

_PYTHON = (sys.executable, "-m", "orchestration.cli")


@dataclass
class Sent:
    """What a producer says that it sent."""

    summary: dict[str, Any]
    entries: list[SentEntry]


@dataclass
class Producing:
    """A producer that is at work."""

    process: "subprocess.Popen[str]"
    ledger: Path

    def wait(self, seconds: float = 300) -> Sent:
        """Until it is done."""
        out, _ = self.process.communicate(timeout=seconds)
        return Sent(json.loads(out), read(self.ledger))


@dataclass
class System:
    """A stack that is up."""

    stack: Stack
    directory: Path
    producers: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """What `millrace env` prints, with the rest of this process's environment."""
        return {**os.environ, **state.environment(self.stack.directory)}

    def command(self, *arguments: str, timeout: float = 240) -> "subprocess.CompletedProcess[str]":
        """Run `millrace` to its end."""
        return subprocess.run(
            [*_PYTHON, *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    @contextmanager
    def producing(self, *arguments: str) -> Generator[Producing]:
        """`millrace produce` in the background; ended with the block."""
        self.producers += 1
        ledger = self.directory / f"ledger-{self.producers}.jsonl"
        command = [*_PYTHON, "produce", "--json", "--quiet", "--ledger", str(ledger), *arguments]
        with subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield Producing(process, ledger)
            finally:
                if process.poll() is None:
                    process.kill()

    def produce(self, *arguments: str) -> Sent:
        """`millrace produce` to its end."""
        with self.producing(*arguments) as producing:
            return producing.wait()

    def reconcile(self, wait: str = "120s") -> tuple[int, dict[str, Any]]:
        """Exit code and answer of `millrace reconcile --json`, in this process: its imports take a second and more."""
        done = CliRunner().invoke(reconcile, ["--wait", wait, "--json"], env=self.environment)
        try:
            return done.exit_code, json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"reconcile answered {done.stdout!r}, {done.stderr!r}") from done.exception

    def query(self, text: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with psycopg.connect(self.environment["MILLRACE_POSTGRES_URL"], autocommit=True) as connection:
            return connection.execute(text.encode(), arguments).fetchall()

    def stored(self) -> int:
        """How many events the ledger says are stored."""
        return self.query("select coalesce(sum(stored), 0)::bigint from ops.batches")[0][0]

    def pid(self, name: str) -> int:
        """The process id of a program."""
        found = next(row.pid for row in observe.rows(self.stack.directory) or [] if row.name == name)
        assert found, f"{name} does not run"
        return found

    def worker_children(self) -> list[int]:
        """The processes that execute ingest runs."""
        return [child.pid for child in psutil.Process(self.pid("worker-ingest")).children()]

    def kill(self, name: str) -> None:
        """SIGKILL a program's own process, without a warning; the supervisor is to bring it back."""
        os.kill(self.pid(name), signal.SIGKILL)

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask Dagster's web server, as the UI does."""
        port = state.load(self.stack.directory).ports["webserver"]
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)["data"]


def eventually(holds: Callable[[], Any], seconds: float = 60, every: float = 0.25) -> Any:
    """Wait until it is true, and return what it returned; a service that is away is not true."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := holds():
                return found
        except (OSError, psycopg.Error, AssertionError, psutil.Error):
            pass
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(every)


@contextmanager
def system(directory: Path) -> Generator[System]:
    """Start everything on free ports; nothing of it is left afterwards."""
    stack = Stack(directory, programs.application())
    try:
        stack.up(lambda _step: None, any_free=True)
        yield System(stack, directory)
    finally:
        stack.down(lambda _step: None)
        assert processes.find(stack.directory) == []
