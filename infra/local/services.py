"""What a local service is: a command, where it runs, when it is ready, how it is stopped.

What belongs here: the description of a service and the small checks that all of them share. What does not:
how one particular service is prepared (`postgres`, `redis`, `kafka`), and starting or watching anything
(`harness`, `stack`).
"""

import http.client
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

HOST = "127.0.0.1"

Signal = Literal["TERM", "INT", "QUIT"]


class LocalError(Exception):
    """The embedded stack cannot do what was asked; its text says what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True)
class LocalService:
    """One program to run; whatever starts it adds the stack's marker and a log file of its name."""

    name: str
    command: tuple[str, ...]
    cwd: Path
    ready: Callable[[], bool]
    """Cheap, never raises, bounded in time; also called before the program has opened its port."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    port: int | None = None
    priority: int = 0
    """Services of a lower priority are ready before those of a higher one are started; stopped in reverse."""
    stop_signal: Signal = "TERM"
    stop_seconds: int = 20
    """How long a stop may take before it becomes a kill."""
    settle_seconds: int = 1
    """A program that dies younger than this is restarted with a growing delay, an older one at once."""
    ready_seconds: float = 60
    """How long after its start the program may take to become ready."""


def answers_tcp(port: int, timeout: float = 1.0) -> bool:
    """Whether something accepts connections on a local port."""
    try:
        socket.create_connection((HOST, port), timeout).close()
    except OSError:
        return False
    return True


def answers_http(port: int, path: str, timeout: float = 2.0) -> bool:
    """Whether a local web server answers a GET of the path with a success."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log file, with what does not print written out; an empty text when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 64 * 1024))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join("".join(map(_printable, line)) for line in text.splitlines()[-lines:])


def _printable(sign: str) -> str:
    """A log quotes names that strangers gave themselves, and these lines are shown on a terminal."""
    return sign if sign.isprintable() or sign == "\t" else sign.encode("unicode_escape").decode("ascii")
