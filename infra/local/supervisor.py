"""supervisord: its configuration for a set of services, its process, and talking to it.

What belongs here: everything that knows of supervisord. What does not: the order of starting and stopping
(`stack`).

Secrets reach the programs through supervisord's own environment, which they inherit; they are neither in its
configuration nor on a command line.
"""

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from infra.local import files
from infra.local.services import LocalError, LocalService

_LONGEST_SOCKET = 90  # the system's limit is about 104, and supervisord adds a suffix while it makes the socket
_NEVER_GIVE_UP = 1_000_000_000


def socket_path(directory: Path) -> Path:
    """Where supervisord listens: in the data directory, or in a short place of its own when that is too long."""
    usual = directory / "supervisor" / "supervisor.sock"
    if len(os.fsencode(usual)) <= _LONGEST_SOCKET:
        return usual
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"millrace-{os.getuid()}-{digest}" / "s"


def configuration(directory: Path, services: Iterable[LocalService]) -> str:
    """The text of supervisord.conf. Nothing starts by itself: the order is the stack's."""
    home, logs = directory / "supervisor", directory / "logs"
    daemon = {
        "nodaemon": "true",
        "silent": "true",
        "logfile": logs / "supervisord.log",
        "logfile_maxbytes": "10MB",
        "logfile_backups": 2,
        "pidfile": home / "supervisord.pid",
        "childlogdir": logs,
        "directory": directory,
        "identifier": "millrace",
        "strip_ansi": "true",
        **({"user": "root"} if os.geteuid() == 0 else {}),  # says that we mean it; without, it warns
    }
    rpc = {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"}
    parts = [
        _section("supervisord", daemon),
        _section("unix_http_server", {"file": socket_path(directory), "chmod": "0700"}),
        _section("rpcinterface:supervisor", rpc),
        *(_section(f"program:{service.name}", _program(logs, service)) for service in services),
    ]
    return "\n".join(parts)


def _program(logs: Path, service: LocalService) -> dict[str, object]:
    return {
        "command": shlex.join(service.command),
        "directory": service.cwd,
        "environment": ",".join(f'{name}="{value}"' for name, value in service.environment.items()),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": service.settle_seconds,
        "startretries": _NEVER_GIVE_UP,  # the delay before the next try grows by a second each time
        "stopsignal": service.stop_signal,
        "stopwaitsecs": service.stop_seconds,
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": logs / f"{service.name}.log",
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": 2,
    }


def _section(name: str, values: Mapping[str, object]) -> str:
    lines = [f"{key} = {str(value).replace('%', '%%')}" for key, value in values.items() if str(value)]
    return "\n".join([f"[{name}]", *lines, ""])


def launch(
    directory: Path, services: Iterable[LocalService], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start supervisord on a configuration written anew, apart from this terminal; the programs do not run yet."""
    path = directory / "supervisor" / "supervisord.conf"
    files.write(path, configuration(directory, services), 0o600)
    (directory / "logs").mkdir(mode=0o700, exist_ok=True)
    _make_way(socket_path(directory))
    with (directory / "logs" / "supervisord.out").open("wb") as log:
        return subprocess.Popen(
            (sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(path)),
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _make_way(address: Path) -> None:
    address.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if address.parent.stat().st_uid != os.geteuid():  # in a folder for everybody, somebody else may have been first
        raise LocalError(f"{address.parent} belongs to another user; choose a shorter --data-dir")
    address.unlink(missing_ok=True)
