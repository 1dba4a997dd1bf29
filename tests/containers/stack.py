"""A Compose stack of its own for tests: made from nothing, asked, and removed with its volumes.

What belongs here: the engine that is there, the image, the stack, questions to its containers. What does not:
assertions about Millrace.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from infra.local import ports

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "infra" / "docker" / "compose.yaml"
IMAGE = "millrace:test"
# One image a repository is enough: tests do not care which release of it is there.
_WATCHING = {"PROMETHEUS_IMAGE": "prom/prometheus", "PUSHGATEWAY_IMAGE": "prom/pushgateway"}
_WATCHING["ALERTMANAGER_IMAGE"] = "prom/alertmanager"
_NUMBERS = count(1)
_GRAFANA = "grafana/grafana:11.6.16"
_NGINX = "nginx:1.30"


def docker(*arguments: str, seconds: float = 900, check: bool = True) -> str:
    """What a command of Docker prints; its errors are the test's."""
    done = subprocess.run(("docker", *arguments), capture_output=True, text=True, timeout=seconds, check=False)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def until(holds: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait for something; a time-out says for what."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.5)


def require_engine() -> None:
    """Go on only with an engine, Compose and buildx; what is missing is said. In CI that fails."""
    missing = "docker" if shutil.which("docker") is None else ""
    for part in () if missing else (("info",), ("compose", "version"), ("buildx", "version")):
        done = subprocess.run(("docker", *part), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            missing = f"`docker {' '.join(part)}`: {done.stderr.strip() or 'fails'}"
            break
    if missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no Docker engine to test with: {missing}")


@cache
def nginx() -> str:
    """The proxy's image; where there is no registry, Debian's nginx in an image of our own."""
    if not _is_there(_NGINX):
        docker("pull", "--quiet", _NGINX, check=False)
    if _is_there(_NGINX):
        return _NGINX
    docker("build", "--quiet", "--tag", "millrace-test:nginx", str(Path(__file__).parent / "nginx"))
    return "millrace-test:nginx"


@cache
def image() -> str:
    """Millrace's image, built from the working tree."""
    docker("build", "--quiet", "--tag", IMAGE, "--file", str(COMPOSE.parent / "Dockerfile"), str(ROOT))
    return IMAGE


@dataclass(frozen=True)
class Stack:
    """A stack of Compose in a directory with its `.env` and `secrets/`."""

    directory: Path
    name: str
    file: Path | None = COMPOSE  # None: COMPOSE_FILE of `.env` says it

    def compose(self, *arguments: str, seconds: float = 600, check: bool = True) -> str:
        """What `docker compose` prints."""
        return docker("compose", *self._files(), *arguments, seconds=seconds, check=check)

    def _files(self) -> tuple[str, ...]:
        chosen = ("--file", str(self.file)) if self.file else ()
        return ("--env-file", str(self.directory / ".env"), *chosen)

    def up(self, *more: str) -> None:
        """Start it and wait until all is healthy."""
        try:
            self.compose("up", "--detach", "--wait", "--wait-timeout", "400", *more, seconds=900)
        except AssertionError as error:
            logs = self.compose("logs", "--no-color", "--tail", "15", check=False)
            raise AssertionError(f"{error}\n{logs}") from None

    def down(self) -> None:
        """Remove it with its volumes."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "10", check=False)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine knows of each container that runs, by the name of its service."""
        ids = self.compose("ps", "--quiet").split()
        found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
        return {str(each["Config"]["Labels"]["com.docker.compose.service"]): each for each in found}

    def kill(self, service: str) -> None:
        """End a container's first process as a crash would: a `docker kill` would count as a wish to see it stopped."""
        before = self._began(service)
        pid = self.containers()[service]["State"]["Pid"]
        docker("run", "--rm", "--pid=host", "--user=0", "--entrypoint=sh", image(), "-c", f"kill -KILL {pid}")
        until(lambda: self._began(service) != before, f"{service} started again", 120)
        until(lambda: self._health(service) == "healthy", f"{service} healthy again", 300)

    def _began(self, service: str) -> str:
        return docker("inspect", "--format", "{{.State.StartedAt}}", *self.compose("ps", "-aq", service).split())

    def _health(self, service: str) -> str:
        found = self.containers().get(service)
        return str(found["State"]["Health"]["Status"]) if found else "away"

    def execute(self, service: str, *command: str) -> str:
        """What a command in a container prints."""
        return self.compose("exec", "-T", service, *command)

    def produce(self, *options: str) -> dict[str, Any]:
        """Send events from a container of its own; what the producer sums up."""
        with self.traffic(*options) as sent:
            pass
        return sent

    @contextmanager
    def traffic(self, *options: str) -> Generator[dict[str, Any]]:
        """Events keep coming; after the block, and after the last event, the dict is what the producer sums up."""
        command = ("run", "--rm", "--no-deps", "-T", "producer", "produce", "--quiet", "--json", *options)
        child = subprocess.Popen(
            ("docker", "compose", *self._files(), *command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        sent: dict[str, Any] = {}
        try:
            yield sent
            output, errors = child.communicate(timeout=600)
        finally:
            child.kill()  # of no effect after its end; its container goes with the stack
            child.wait(60)
        assert child.returncode == 0, errors
        sent.update(json.loads(output))

    def run(self, script: str, *arguments: str, code: int = 0, **environment: str) -> str:
        """What a script of infra/docker prints when it ends with this exit code."""
        environment = {**os.environ, "MILLRACE_DEPLOYMENT": str(self.directory), **environment}
        done = subprocess.run(
            (str(COMPOSE.parent / script), *arguments),
            env=environment, capture_output=True, text=True, timeout=1200, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{script}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def reconcile(self, wait: str = "90s") -> dict[str, Any]:
        """What `millrace reconcile` finds once everything was read; it fails where the books do not add up."""
        return json.loads(self.execute("worker-default", "millrace", "reconcile", "--wait", wait, "--json"))

    def records(self) -> int:
        """How many records are in the books."""
        return int(self.query("select coalesce(sum(records), 0) from ops.batches")[0])

    def query(self, text: str) -> list[str]:
        """Lines of a query."""
        return self.execute("postgres", "psql", "-U", "millrace", "-d", "millrace", "-AtXc", text).splitlines()


@contextmanager
def stack(directory: Path, of: str = "", **settings: str) -> Generator[Stack]:
    """A stack that was initialised, of the image under test or of another one, and does not run yet."""
    me, of = f"{os.getuid()}:{os.getgid()}", of or image()
    docker("run", "--rm", "--user", me, "-v", f"{directory}:/here", of, "init", "--directory", "/here")
    web, grafana = ports.free(2, [])
    name = f"millrace-test-{os.getpid()}-{next(_NUMBERS)}"
    given = {
        "COMPOSE_PROJECT_NAME": name,
        "MILLRACE_IMAGE": of,
        "MILLRACE_DEPLOYMENT": str(directory),
        "MILLRACE_WEB_PORT": str(web),
        "MILLRACE_GRAFANA_PORT": str(grafana),
        **_images(),
        **settings,
    }
    with (directory / ".env").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in given.items())
    made = Stack(directory, name)
    try:
        yield made
    finally:
        made.down()


def _images() -> dict[str, str]:
    found = {name: f"{image}:latest" for name, image in _WATCHING.items() if _is_there(f"{image}:latest")}
    if not _is_there(_GRAFANA):
        docker("pull", "--quiet", _GRAFANA, check=False)
    if not _is_there(_GRAFANA):
        found["GRAFANA_PROFILE"] = "none"
    return found


def _is_there(name: str) -> bool:
    return bool(docker("image", "ls", "--quiet", name).strip())
