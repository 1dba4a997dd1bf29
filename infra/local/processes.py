"""The processes of a data directory: finding every one of them, and ending them.

What belongs here: who is ours and how it is ended. What does not: starting anything.

Everything that is started for a data directory carries the directory's path in the variable MILLRACE_STACK,
and so does whatever it starts itself. PostgreSQL overwrites the environment of its sessions with their
titles; those are known by their name together with their working directory, which is the cluster's. A shell
that stands in the data directory, or that has the stack's settings in its environment, has neither and is
left alone.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

MARKER = "MILLRACE_STACK"
_GRACE = 15.0


def marker(data_directory: Path) -> dict[str, str]:
    """The variable that every process of the data directory carries."""
    return {MARKER: str(data_directory)}


def find(data_directory: Path) -> list[psutil.Process]:
    """Every process of the data directory, whoever started it and whether or not that one still lives."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = {process.pid: process for process in psutil.process_iter() if _is_ours(process, data_directory)}
    for process in list(found.values()):
        found.update({child.pid: child for child in children(process)})
    return [process for pid, process in sorted(found.items()) if pid not in spared]


def _is_ours(process: psutil.Process, data_directory: Path) -> bool:
    try:
        if process.environ().get(MARKER) == str(data_directory):
            return is_alive(process)
        return process.name() == "postgres" and Path(process.cwd()).is_relative_to(data_directory / "postgres")
    except (psutil.Error, OSError):
        return False


def children(process: psutil.Process) -> list[psutil.Process]:
    """All descendants of a process; none when it is gone."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to each that still lives."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


def kill_tree(process: psutil.Process) -> None:
    """SIGKILL a process and its descendants, the parent first so that it replaces none, and wait."""
    tree = [process, *children(process)]
    send(tree, signal.SIGKILL)
    wait(tree, _GRACE)


def wait(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait for processes to end; those that have not. A zombie has ended, even if its parent never asks."""
    deadline = time.monotonic() + timeout
    alive = [process for process in processes if is_alive(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [process for process in alive if is_alive(process)]
    return alive


def is_alive(process: psutil.Process) -> bool:
    """Whether the very process, not another one with its number, still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def sweep(data_directory: Path, grace: float = _GRACE) -> str:
    """End whatever is left of a data directory; a summary of what there was, empty for nothing.

    The supervisor goes first and at once: it would start the others again.
    """
    left = find(data_directory)
    what = summary(left)
    supervisors, others = [p for p in left if _supervises(p)], [p for p in left if not _supervises(p)]
    send(supervisors, signal.SIGKILL)
    for process in others:
        send([process], signal.SIGCONT)  # a process that is paused would never hear the rest
        send([process], signal.SIGINT if _name(process) == "postgres" else signal.SIGTERM)
    wait(left, grace)
    deadline = time.monotonic() + grace
    while (stubborn := find(data_directory)) and time.monotonic() < deadline:
        send(stubborn, signal.SIGKILL)
        wait(stubborn, 1)
    return what


def summary(found: Iterable[psutil.Process]) -> str:
    """Processes for people: `3 postgres, 1 java`."""
    counted = Counter(_name(process) for process in found)
    return ", ".join(f"{count} {name}" for name, count in counted.items())


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "a process"


def is_supervisor(pid: int, data_directory: Path) -> bool:
    """Whether a process is the living supervisor of the data directory."""
    try:
        process = psutil.Process(pid)
        return is_alive(process) and _supervises(process) and _is_ours(process, data_directory)
    except psutil.Error:
        return False


def _supervises(process: psutil.Process) -> bool:
    try:
        return "supervisor.supervisord" in process.cmdline()
    except psutil.Error:
        return False
