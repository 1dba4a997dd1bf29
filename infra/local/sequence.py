"""Starting and stopping supervised programs in their order, with a report of each step.

What belongs here: waiting for programs, and giving up on them. What does not: which programs there are, and
what is done before and after (`stack`).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from infra.local.remote import Remote
from infra.local.services import LocalError, LocalService, tail
from infra.local.state import Program

_ATTEMPTS = 2  # starts of one program before it counts as broken; the supervisor itself would go on for ever
_SETTLED_WITHIN = 60.0


@dataclass(frozen=True)
class StartStep:
    """What happens to a program, or to a step of that name."""

    name: str
    state: Literal["busy", "ready", "failed"]
    text: str = ""


Report = Callable[[StartStep], None]


@dataclass
class _Waiting:
    service: LocalService
    deadline: float
    starts: set[int] = field(default_factory=set[int])


def start(remote: Remote, services: Iterable[LocalService], logs: Path, report: Report) -> None:
    """Start programs, all of one priority at a time, the next when these are ready.

    Raises:
        LocalError: one of them ends again and again, or is not ready in time; with the last lines of its log.
    """
    for _, stage in groupby(sorted(services, key=attrgetter("priority")), key=attrgetter("priority")):
        waiting = [_Waiting(service, time.monotonic() + service.ready_seconds) for service in stage]
        running = {name for name, info in remote.programs().items() if info["statename"] == "RUNNING"}
        # What has run for a while and has no port to ask is not asked again whether it has started.
        waiting = [item for item in waiting if item.service.name not in running or item.service.port]
        for item in waiting:
            report(StartStep(item.service.name, "busy", _what(item.service)))
            remote.start(item.service.name)
        while waiting:
            programs = remote.programs()
            waiting = [item for item in waiting if not _is_ready(item, programs, logs, report)]
            time.sleep(0.1 if waiting else 0)


def _what(service: LocalService) -> str:
    return f"waiting for port {service.port}" if service.port else "waiting until it says that it is ready"


def _is_ready(item: _Waiting, programs: Mapping[str, Mapping[str, Any]], logs: Path, report: Report) -> bool:
    service, info = item.service, programs[item.service.name]
    item.starts.add(info["start"])
    if info["statename"] in {"STARTING", "RUNNING"} and service.ready():
        report(StartStep(service.name, "ready"))
        return True
    broken = info["statename"] == "FATAL" or len(item.starts) > _ATTEMPTS
    if broken or time.monotonic() > item.deadline:
        report(StartStep(service.name, "failed"))
        what = "ends again and again" if broken else f"is not ready after {service.ready_seconds:.0f} s"
        log = logs / f"{service.name}.log"
        raise LocalError(f"{service.name} {what}; the end of {log}:\n{tail(log) or '(nothing)'}")
    return False


def settle(remote: Remote, logs: Path) -> None:
    """Wait until every program has lived long enough for the supervisor to call it running.

    Raises:
        LocalError: one of them does not stay.
    """
    deadline = time.monotonic() + _SETTLED_WITHIN
    while restless := [n for n, info in remote.programs().items() if info["statename"] != "RUNNING"]:
        if time.monotonic() > deadline:
            log = logs / f"{restless[0]}.log"
            raise LocalError(f"{restless[0]} does not stay up; the end of {log}:\n{tail(log) or '(nothing)'}")
        time.sleep(0.2)


def stop(remote: Remote, programs: Iterable[Program], report: Report) -> None:
    """Stop programs in the reverse of their starting order; the supervisor kills what takes too long."""
    known = set(remote.programs())
    ordered = sorted(programs, key=attrgetter("priority"), reverse=True)
    for _, group in groupby(ordered, key=attrgetter("priority")):
        stage = {program.name: program for program in group if program.name in known}
        for name in stage:
            report(StartStep(name, "busy", "stopping"))
            remote.stop(name)
        _await_end(remote, stage, report)


def _await_end(remote: Remote, stage: dict[str, Program], report: Report) -> None:
    deadline = time.monotonic() + max((program.stop_seconds for program in stage.values()), default=0) + 5
    while stage and time.monotonic() < deadline:
        for name, info in remote.programs().items():
            if name in stage and not info["pid"]:
                report(StartStep(name, "ready", "stopped"))
                del stage[name]
        time.sleep(0.05)
