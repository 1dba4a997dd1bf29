"""Is this machine fit for the embedded stack, and does a running stack answer? Every answer says what to do.

What belongs here: looking at the machine and its programs. What does not: repairing, printing, and what Millrace itself
needs of them (`orchestration.cli.doctor`).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from infra.local import cache, embedded, files, jars, observe, plan, ports, preflight, processes, redis, state
from infra.local.preflight import Finding
from infra.local.services import LocalError

_FOLDERS = ("logs", "supervisor", "dagster")
_MEND_REDIS = "make room or mend it: docs/runbook.md, MillraceBrokerDown and MillraceRedisDown"


def examine(directory: Path, application: plan.Application) -> Iterator[Finding]:
    """Everything worth knowing, the machine first, then the stack."""
    yield from preflight.programs()
    try:
        home = plan.data_directory(directory)
    except LocalError as error:
        what, _, advice = str(error).rpartition("; ")
        yield Finding("data directory", "FAIL", what, advice)
        return
    yield from _writes(home)
    yield from preflight.disk_space(home)
    if state.supervisor(home):
        yield from _stack(home, application)
        return
    left = processes.find(home)
    yield _stale(left)
    if not left:  # they hold the ports, and go first
        yield from _ports(home, application)


def _writes(home: Path) -> Iterator[Finding]:
    """A file is written where a start and its programs will write: what may be done shows only when it is done.

    The cluster's own folder is left alone: it belongs to the account that PostgreSQL runs as.
    """
    elsewhere = "make it yours (chown), make room, or choose another: --data-dir DIR"
    folders = [home, *(home / name for name in (*_FOLDERS, *embedded.ALL) if (home / name).is_dir())]
    refused = [said for folder in folders if (said := files.refusal(folder))]
    yield Finding("data directory", "FAIL" if refused else "OK", "; ".join(refused) or f"{home} takes files", elsewhere)
    if said := files.refusal(cache.directory()):
        needed = "WARN" if jars.cached() else "FAIL"  # what is there already is only read
        yield Finding("cache", needed, said, "name another: MILLRACE_CACHE_DIR=DIR")
    else:
        yield Finding("cache", "OK", f"{cache.directory()} takes files")
    if said := files.refusal(Path(tempfile.gettempdir())):
        yield Finding("temporary files", "FAIL", said, "name another folder: TMPDIR=DIR")


def _stale(left: list[psutil.Process]) -> Finding:
    if left:
        text = f"{processes.summary(left)} run without a supervisor"
        return Finding("left over", "WARN", text, "millrace down ends them, and so does millrace up")
    return Finding("left over", "OK", "nothing of an earlier stack runs")


def _ports(home: Path, application: plan.Application) -> Iterator[Finding]:
    for name, default in plan.all_ports(application).items():
        port = state.load(home).ports.get(name, default)
        if ports.is_free(port):
            yield Finding(f"port {port}", "OK", f"free for {name}")
        else:
            advice = f"end it, or: millrace up --port {name}={ports.free(1)[0]}, or: millrace up --free-ports"
            yield Finding(f"port {port}", "FAIL", f"wanted for {name}, held by {ports.holder(port)}", advice)


def _stack(home: Path, application: plan.Application) -> Iterator[Finding]:
    try:
        found = observe.rows(home) or []
    except LocalError as error:
        yield Finding("supervisor", "FAIL", str(error), "start anew: millrace down, millrace up")
        return
    chosen = state.load(home).ports
    known = {row.name for row in found}.intersection((*embedded.ALL, *embedded.OPTIONAL))
    ready = {name: embedded.described(name, home, chosen).ready for name in known}
    for row in found:
        if not row.runs:
            yield Finding(row.name, "FAIL", f"{row.state} {row.problem}".strip(), f"see {row.log}")
        elif row.name in ready and not ready[row.name]():
            yield Finding(row.name, "FAIL", f"runs (pid {row.pid}) but does not answer", f"see {row.log}")
        elif row.name in (redis.CLAIMS, redis.BROKER) and (said := redis.refusal(chosen[row.name])):
            yield Finding(row.name, "FAIL", f"runs (pid {row.pid}) but takes no writes: {said}", _MEND_REDIS)
        else:
            yield Finding(row.name, "OK", f"runs (pid {row.pid})" + (", answers" if row.name in ready else ""))
    if off := state.load(home).metrics_off:
        level = "OK" if off == application.metrics_off else "WARN"
        yield Finding("monitoring", level, f"off: {off}", "once it is mended: millrace down, millrace up")
