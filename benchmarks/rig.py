"""A stack of its own for the benchmarks, and what they ask of it.

What belongs here: starting, stopping, filling, waiting. What does not: what is measured (`throughput`, `memory`,
`latency`).
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from infra.local import state
from infra.local.remote import Remote
from infra.local.stack import Stack
from orchestration.cli import programs
from orchestration.settings import Settings, load


@dataclass(frozen=True)
class Rig:
    """A stack that is up."""

    directory: Path
    settings: Settings
    environment: Mapping[str, str]

    def connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """A connection in autocommit mode."""
        return psycopg.connect(self.settings.postgres_url, autocommit=True)

    def one(self, query: str, *arguments: Any) -> Any:
        """The only value of a query."""
        with self.connect() as connection:
            row = connection.execute(query.encode(), arguments).fetchone()
            return row[0] if row else None

    def produce(self, *arguments: str) -> dict[str, Any]:
        """Run `millrace produce` and return its summary."""
        command = [sys.executable, "-m", "orchestration.cli", "produce", "--json", "--quiet", *arguments]
        done = subprocess.run(command, env=dict(self.environment), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def backlog(self, events: int, duplicates: float) -> None:
        """Send so many messages, of which a part was sent before, while nobody reads them."""
        command = [sys.executable, "-m", "benchmarks.traffic", "--late", "0"]
        share = ["--count", str(events), "--duplicates", str(duplicates)]
        with self.nobody_plans():
            subprocess.run([*command, *share], env=dict(self.environment), stdout=subprocess.DEVNULL, check=True)

    @contextlib.contextmanager
    def without(self, program: str) -> Generator[None]:
        """While one of the stack's programs does not run."""
        remote = Remote(self.directory)
        remote.stop(program)
        while remote.programs()[program]["statename"] not in ("STOPPED", "EXITED", "FATAL"):
            time.sleep(0.1)
        try:
            yield
        finally:
            remote.start(program)

    def nobody_plans(self) -> contextlib.AbstractContextManager[None]:
        """Without the daemon: what is produced meanwhile becomes a backlog."""
        return self.without("daemon")

    def wait_for_records(self, records: int, seconds: float = 600) -> None:
        """Until the ledger holds so many records."""
        deadline = time.monotonic() + seconds
        while self.one("select coalesce(sum(records), 0) from ops.batches") < records:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{records} records were not ingested within {seconds:.0f} s")
            time.sleep(0.2)

    def worker_pids(self) -> list[int]:
        """The ingest worker's processes: the parent and its children."""
        import psutil

        parent = int(Remote(self.directory).programs()["worker-ingest"]["pid"])
        return [parent, *(child.pid for child in psutil.Process(parent).children(recursive=True))]


@contextlib.contextmanager
def rig(**settings: str) -> Generator[Rig]:
    """A fresh stack on free ports with the given settings; gone afterwards, data included."""
    with tempfile.TemporaryDirectory(prefix="mr-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        os.environ.update(settings)
        stack = Stack(directory, programs.application())
        print(f"starting a stack of its own ({', '.join(f'{k}={v}' for k, v in settings.items()) or 'defaults'})")
        stack.up(lambda _step: None, any_free=True)
        try:
            environment = {**os.environ, **state.environment(directory)}
            yield Rig(directory, load(environment), environment)
        finally:
            stack.down(lambda _step: None)
            for key in settings:
                os.environ.pop(key, None)
