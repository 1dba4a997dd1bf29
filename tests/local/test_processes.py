import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from infra.local import processes

_SLEEP = "import time; time.sleep(600)"
_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
# Starts another process, tells its pid, and goes: what a crash of the supervisor leaves behind.
_LEAVE = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", {_SLEEP!r}], stdout=subprocess.DEVNULL).pid, flush=True)
"""


class Started:
    """Processes with a data directory's mark, or without."""

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[str]] = []

    def __call__(
        self, code: str, directory: Path | None, cwd: Path | None = None, **more: str
    ) -> subprocess.Popen[str]:
        environment = {**os.environ, **more, **(processes.marker(directory) if directory else {})}
        command = (sys.executable, "-c", code)
        child = subprocess.Popen(command, env=environment, cwd=cwd, stdout=subprocess.PIPE, text=True)
        self.children.append(child)
        return child


@pytest.fixture
def start() -> Generator[Started]:
    started = Started()
    yield started
    for child in started.children:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


def test_what_a_dead_parent_has_left_behind_is_found_and_ended(start: Started, tmp_path: Path) -> None:
    child = start(_LEAVE, tmp_path)
    assert child.stdout
    orphan = int(child.stdout.readline())
    child.wait()
    assert [process.pid for process in processes.find(tmp_path)] == [orphan]
    assert processes.sweep(tmp_path).startswith("1 python")
    assert processes.find(tmp_path) == []


def test_what_ignores_the_polite_signal_is_killed(start: Started, tmp_path: Path) -> None:
    child = start(_DEAF, tmp_path)
    assert child.stdout
    child.stdout.readline()
    processes.sweep(tmp_path, grace=0.3)
    assert child.wait(5) == -signal.SIGKILL


def test_what_is_frozen_is_ended(start: Started, tmp_path: Path) -> None:
    child = start(_SLEEP, tmp_path)
    child.send_signal(signal.SIGSTOP)
    processes.sweep(tmp_path, grace=60)
    assert child.wait(60) == -signal.SIGTERM, "it was woken to end by itself, and not killed after the grace"


def test_processes_of_other_directories_and_of_users_are_left_alone(start: Started, tmp_path: Path) -> None:
    here, beside = tmp_path / "one", tmp_path / "one-more"
    here.mkdir()
    spared = [
        start(_SLEEP, beside),
        start(_SLEEP, here / "inside"),
        start(_SLEEP, None, cwd=here),
        start(_SLEEP, None, cwd=here, MILLRACE_DATA_DIR=str(here), MILLRACE_POSTGRES_URL="postgresql://x"),
    ]
    assert processes.sweep(here) == ""
    assert [child.poll() for child in spared] == [None] * len(spared)


def test_a_sweep_spares_the_process_that_sweeps(start: Started, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from infra.local import processes
print(repr(processes.sweep(Path({str(tmp_path)!r}))), flush=True)
"""
    child = start(code, tmp_path)
    assert child.communicate()[0] == "''\n"
    assert child.returncode == 0
