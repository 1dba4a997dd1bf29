"""The supervised stack of a data directory: up and down.

What belongs here: the whole way up and down, and that nothing is left behind. What does not: what is
started (`embedded`, `plan.Application`), in which order (`sequence`), supervisord's ways (`supervisor`),
and printing.
"""

import os
import shutil
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import psutil

from infra.local import (
    embedded,
    files,
    jars,
    kafka,
    migration,
    monitoring,
    plan,
    processes,
    remote,
    sequence,
    state,
    supervisor,
)
from infra.local.sequence import Report, StartStep
from infra.local.services import LocalError, LocalService, tail

Outcome = Literal["started", "completed", "was up"]


class Stack:
    """One data directory's stack. Several processes may hold one; only one at a time starts or stops it."""

    def __init__(self, directory: Path, application: plan.Application) -> None:
        self.directory = plan.data_directory(directory)
        self.logs = self.directory / "logs"
        self._application = application
        self._remote = remote.Remote(self.directory)

    def up(self, report: Report, *, ports: Mapping[str, int] | None = None, any_free: bool = False) -> Outcome:
        """Start what does not run and wait until all is ready.

        Raises:
            LocalError: it could not be started; a stack that this call began to start is gone again.
        """
        with self._alone():
            if state.supervisor(self.directory):
                return self._complete(report, ports or {})
            processes.sweep(self.directory)
            try:
                self._start(report, ports or {}, any_free=any_free)
            except BaseException:
                self._end(lambda _: None)
                raise
            return "started"

    def down(self, report: Report) -> str:
        """Stop everything; a summary of what ran although no supervisor could stop it, after a crash say."""
        with self._alone():
            return self._end(report)

    def _alone(self) -> AbstractContextManager[None]:
        return files.locked(self.directory / "lock", busy=f"another process works on {self.directory}")

    def _start(self, report: Report, ports: Mapping[str, int], *, any_free: bool) -> None:
        defaults, remembered = plan.all_ports(self._application), state.load(self.directory).ports
        chosen = plan.choose_ports(defaults, ports, remembered, any_free=any_free)
        state.save(self.directory, state.StackState(ports=chosen))
        off = self._fetch(report)
        names = embedded.ALL if off else (*embedded.ALL, *embedded.OPTIONAL)
        self._prepare(report, names, chosen)
        settings = embedded.environment(names, self.directory, chosen)
        settings |= self._application.environment(self.directory, chosen)
        state.save_environment(self.directory, settings)
        services = self._services(names, chosen, settings)
        self._launch(services, settings, state.StackState(chosen, metrics_off=off, code=self._application.code))
        self._run(services, settings, report)

    def _complete(self, report: Report, ports: Mapping[str, int]) -> Outcome:
        """Start what is missing from a stack whose supervisor lives."""
        chosen = state.load(self.directory).ports
        if moved := [name for name, port in ports.items() if chosen.get(name) != port]:
            raise LocalError(f"the stack is up with another port for {', '.join(moved)}; first: millrace down")
        if all(info["statename"] == "RUNNING" for info in self._remote.programs().values()):
            return "was up"
        settings = state.environment(self.directory)
        known = {program.name for program in state.load(self.directory).programs}
        names = [name for name in (*embedded.ALL, *embedded.OPTIONAL) if name in known]
        self._run(self._services(names, chosen, settings), settings, report)
        return "completed"

    def _services(
        self, names: Collection[str], chosen: Mapping[str, int], settings: Mapping[str, str]
    ) -> list[LocalService]:
        # They connect to nothing, and what they need not know is not among their variables.
        unknown = dict.fromkeys(settings, "")
        described = [embedded.described(name, self.directory, chosen) for name in names]
        services = [replace(each, environment={**unknown, **each.environment}) for each in described]
        return services + self._application.programs(self.directory, chosen, settings)

    def _fetch(self, report: Report) -> str:
        """What has to be downloaded, in this thread: the long steps, which Ctrl-C must be able to end.

        Returns:
            Why there are no metrics; they are worth one attempt, and not worth a stack that does not start.
        """
        jars.fetch(say=lambda text: report(StartStep(kafka.NAME, "busy", text)))
        if off := plan.metrics_off(self._application):
            return off
        try:
            monitoring.fetch(say=lambda text: report(StartStep(monitoring.PROMETHEUS, "busy", text)))
        except LocalError as error:
            report(StartStep(monitoring.PROMETHEUS, "failed", "could not be fetched"))
            return str(error)
        monitoring.link(self.directory)
        return ""

    def _prepare(self, report: Report, names: Collection[str], chosen: Mapping[str, int]) -> None:
        def prepare(name: str) -> None:
            embedded.prepare(name, self.directory, chosen, lambda text: report(StartStep(name, "busy", text)))

        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(prepare, names))
        self._application.prepare(self.directory)

    def _launch(self, services: list[LocalService], settings: Mapping[str, str], known: state.StackState) -> None:
        child = supervisor.launch(self.directory, services, self._inherited(settings))
        programs = tuple(state.Program(s.name, s.port, s.priority, s.stop_seconds) for s in services)
        state.save(self.directory, replace(known, programs=programs, supervisor=child.pid))
        deadline = time.monotonic() + 30
        while not self._remote.answers():
            if child.poll() is not None or time.monotonic() > deadline:
                said = tail(self.logs / "supervisord.out") or tail(self.logs / "supervisord.log")
                raise LocalError(f"the supervisor did not start:\n{said}")
            time.sleep(0.05)

    def _inherited(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {**os.environ, **settings, **processes.marker(self.directory)}

    def _run(self, services: list[LocalService], settings: Mapping[str, str], report: Report) -> None:
        """The services, the migrations, the programs; in this order, each when what it needs is ready."""
        sequence.start(self._remote, [s for s in services if s.priority <= 0], self.logs, report)
        if self._application.migrate:
            migration.run(self._application.migrate, self.directory, self._inherited(settings), report)
        sequence.start(self._remote, [s for s in services if s.priority > 0], self.logs, report)
        sequence.settle(self._remote, self.logs)

    def _end(self, report: Report) -> str:
        known = state.load(self.directory)
        if pid := state.supervisor(self.directory):
            try:
                sequence.stop(self._remote, known.programs, report)
                self._remote.shut_down()
                processes.wait([psutil.Process(pid)], timeout=15)
            except (LocalError, psutil.Error):
                pass  # it hangs or is gone; what it leaves is found below
        left = processes.sweep(self.directory)
        state.save(self.directory, replace(known, supervisor=None))
        return left


def wipe(directory: Path) -> None:
    """Remove what a stack keeps in its directory, and nothing else that may be there."""
    settings = ("stack.json", "environment.json")
    ours = (*embedded.ALL, *embedded.OPTIONAL, "bin", "dagster", "grafana", "logs", "supervisor", *settings)
    with files.locked(directory / "lock", busy=f"another process works on {directory}"):
        for path in (directory / name for name in ours):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
