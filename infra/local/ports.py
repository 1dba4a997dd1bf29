"""Local TCP ports: which are free, and who holds those that are not.

What belongs here: asking, and choosing so that nobody else chooses the same. What does not: which program gets which
(`plan`, `harness`).
"""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Collection
from functools import cache
from itertools import islice
from pathlib import Path

import psutil

from infra.local.services import HOST, LocalError

# Below the range from which systems take the ports of outgoing connections: a client that keeps trying a
# port of that range while its server is down can end up connected to itself, and the server then cannot
# have its port back.
_FIRST, _LAST = 15_000, 32_000
_FIRST_OF_EVERYBODY = 1024
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True


def free(count: int, taken: Collection[int] = ()) -> list[int]:
    """Different free ports, which no other process of this user is given as long as this one lives.

    Between the choice and the moment when a server listens are seconds, and more whenever it is restarted.
    """
    last = _LAST
    if _EPHEMERAL.exists():
        lowest = int(_EPHEMERAL.read_text().split()[0])
        last = min(last, lowest - 1) if lowest > _FIRST + 1000 else last
    candidates = random.sample(range(_FIRST, last), k=last - _FIRST)
    return list(islice((port for port in candidates if port not in taken and is_free(port) and _reserve(port)), count))


def _reserve(port: int) -> bool:
    """Whether the port is this process's from now on: it has locked the byte of that number in a file of the user's."""
    if port in _reserved:
        return False
    file = _reservations()
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # either means that somebody else has it
        return False
    _reserved.add(port)
    return True


_reserved: set[int] = set()  # by this process, which its own locks would let choose them again


@cache
def _reservations() -> int:
    """The file of the locks; it stays open, for a process that closes it gives up all of them."""
    path = Path(tempfile.gettempdir(), f"millrace-ports-{os.getuid()}")
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise LocalError(
            f"ports cannot be reserved in {path}: {error.strerror}; name another folder: TMPDIR=DIR"
        ) from error


def holder(port: int) -> str:
    """The process that listens on a port, as `pid 123 (name: command)`, as far as the system tells."""
    if port < _FIRST_OF_EVERYBODY and os.geteuid() != 0:
        return f"the system: ports below {_FIRST_OF_EVERYBODY} are root's"
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS tells this to root only
        connections = []
    for connection in connections:
        local = connection.laddr
        if local and local.port == port and connection.status == psutil.CONN_LISTEN and connection.pid:
            return describe(connection.pid)
    return "a process of another user"


def describe(pid: int) -> str:
    """A process for people: its pid, its name and the beginning of its command."""
    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline())
        return f"pid {pid} ({process.name()}: {command[:80]}{'…' if len(command) > 80 else ''})"
    except psutil.Error:
        return f"pid {pid}"
