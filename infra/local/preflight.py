"""Is this machine fit for the embedded stack? Every answer says what to do.

What belongs here: programs, disk, memory and limits. What does not: the stack and its data directory (`doctor`).
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

from infra.local import binaries, cache, debian, jars, monitoring, run_as_user
from infra.local.services import LocalError

_GB = 1024**3


@dataclass(frozen=True)
class Finding:
    """One answer."""

    name: str
    level: Literal["OK", "WARN", "FAIL"]
    text: str
    advice: str = ""


def programs() -> Iterator[Finding]:
    """What has to be installed."""
    yield _python()
    yield from (_program(name, check) for name, check in _PROGRAMS.items())
    yield _jars()
    yield _monitoring()


def disk_space(home: Path) -> Iterator[Finding]:
    """What a stack in this directory may take."""
    yield from (_disk(home), _memory(), _shared_memory(), _open_files())


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", "OK", found)


def _postgres() -> str:
    program = (str(binaries.postgres("postgres")), "--version")
    owner = run_as_user.unprivileged(Path("/nonexistent"))
    command = run_as_user.wrapped(program, owner, Path(program[0]))
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
        return Finding(name, "FAIL", str(error), binaries.INSTALL)


def _jars() -> Finding:
    if jars.cached():
        return Finding("kafka", "OK", f"Apache Kafka {jars.VERSION}, in {cache.directory()}")
    if binaries.package_directory("jgo") is None:
        return Finding("kafka", "FAIL", "jgo, which fetches it, is missing", binaries.INSTALL)
    return Finding("kafka", "OK", "will be fetched at the first start, about 45 MB")


def _monitoring() -> Finding:
    """They are optional; without them only the metrics are off."""
    if problem := monitoring.problem():
        what, _, advice = problem.partition("; ")
        return Finding("metrics", "WARN", f"off: {what}", advice or "run millrace from a checkout of its repository")
    if monitoring.is_there():
        return Finding(
            "metrics", "OK", f"Prometheus, Pushgateway and Alertmanager ({binaries.monitoring('prometheus')})"
        )
    return Finding("metrics", "OK", f"Prometheus's packages will be fetched at the first start, {debian.SIZE}")


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(home).free / _GB
    text = f"{free:.1f} GB free"
    if free < 5:
        return Finding("disk", "FAIL" if free < 1 else "WARN", text, "make room, or choose another: --data-dir DIR")
    return Finding("disk", "OK", text)


def _memory() -> Finding:
    free = psutil.virtual_memory().available / _GB
    text = f"{free:.1f} GB available"
    if free < 2:
        advice = "a whole stack takes about 1.5 GB, and work comes on top; end something"
        return Finding("memory", "FAIL" if free < 1 else "WARN", text, advice)
    return Finding("memory", "OK", text)


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")  # noqa: S108 - PostgreSQL's, looked at only  # nosec B108
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
