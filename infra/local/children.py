"""Child processes of this very process, a service each: start, stop, kill, freeze.

What belongs here: handling single services as a test does. What does not: which there are and when they end
(`harness`), and the supervised stack (`stack`).
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from infra.local import processes
from infra.local.services import LocalError, LocalService, tail


class Running:
    """Started services of one data directory. Not for use from several threads at once."""

    def __init__(self, directory: Path, services: Mapping[str, LocalService], environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = dict(environment)
        self.services = dict(services)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def pid(self, name: str) -> int:
        """The process id of a service that was started; PostgreSQL's is the postmaster's."""
        return self._children[name].pid

    def log(self, name: str) -> Path:
        """The log file of a service."""
        return self.directory / "logs" / f"{name}.log"

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start a service that does not run, on its port and its data, and wait until it is ready."""
        if name in self._children and self._children[name].poll() is None:
            return
        service = self.services[name]
        self.log(name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            self._children[name] = subprocess.Popen(
                service.command,
                cwd=service.cwd,
                env={**os.environ, **service.environment, **processes.marker(self.directory)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the test run, which then ends the services
            )
        if wait:
            self.wait(name)

    def wait(self, name: str) -> None:
        """Wait until a started service is ready.

        Raises:
            LocalError: it ended, or it took too long; with the last lines of its log.
        """
        service, child = self.services[name], self._children[name]
        deadline = time.monotonic() + service.ready_seconds
        while not service.ready():
            if (status := child.poll()) is not None:
                raise LocalError(f"{name} ended with status {status}; {self.log(name)} says:\n{tail(self.log(name))}")
            if time.monotonic() > deadline:
                raise LocalError(f"{name} is not ready; {self.log(name)} says:\n{tail(self.log(name))}")
            time.sleep(0.05)

    def stop(self, name: str) -> None:
        """Ask a service to end and wait for it; after its time it is killed."""
        self._ask(name)
        self._await(name)

    def kill(self, name: str) -> None:
        """SIGKILL a service with all its processes, and wait until they are gone."""
        child = self._children[name]
        processes.kill_tree(psutil.Process(child.pid)) if child.poll() is None else None
        child.wait()

    def pause(self, name: str) -> None:
        """Freeze a service with all its processes: it holds its connections and answers nothing."""
        processes.send(self._tree(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a frozen service go on."""
        processes.send(self._tree(name), signal.SIGCONT)

    def stop_all(self) -> None:
        """Stop everything, all at once, the dependents' signal first."""
        names = [name for name in reversed(self.services) if name in self._children]
        for name in names:
            self._ask(name)
        for name in names:
            self._await(name)

    def _tree(self, name: str) -> list[psutil.Process]:
        child = self._children[name]
        if child.poll() is not None:
            return []
        process = psutil.Process(child.pid)
        return [process, *processes.children(process)]

    def _ask(self, name: str) -> None:
        self.resume(name)
        if self._children[name].poll() is None:
            self._children[name].send_signal(signal.Signals[f"SIG{self.services[name].stop_signal}"])

    def _await(self, name: str) -> None:
        try:
            self._children[name].wait(self.services[name].stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill(name)
