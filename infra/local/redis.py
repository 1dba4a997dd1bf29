"""Redis for one machine, twice: the claims, which may be lost, and Celery's broker, which may not.

What belongs here: their settings and start commands. What does not: what is kept in them (`resources.redis`).
"""

import socket
from collections.abc import Mapping
from pathlib import Path

from infra.local import binaries, files
from infra.local.services import HOST, LocalService

CLAIMS, BROKER = "redis", "broker"

_COMMON = {
    "bind": HOST,
    "protected-mode": "yes",
    "daemonize": "no",
    "logfile": '""',
    "save": '""',
    "set-proc-title": "no",  # a title would overwrite the environment by which the process is known as ours
    "tcp-keepalive": "60",
}
_CLAIMS = {"maxmemory": "512mb", "maxmemory-policy": "volatile-ttl", "appendonly": "no"}
# Queued runs survive a restart; when it is full it says so, rather than forget one.
_BROKER = {
    "maxmemory": "512mb",
    "maxmemory-policy": "noeviction",
    "appendonly": "yes",
    "appendfsync": "everysec",
}


def prepare_claims(directory: Path) -> None:
    """Write the settings of the Redis that remembers event ids."""
    _prepare(directory, _CLAIMS)


def prepare_broker(directory: Path) -> None:
    """Write the settings of the Redis that carries runs to the workers."""
    _prepare(directory, _BROKER)


def service(name: str, directory: Path, port: int) -> LocalService:
    """How to run the server in a prepared directory."""
    return LocalService(
        name=name,
        command=(str(binaries.redis_server()), str(directory / "redis.conf"), "--port", str(port)),
        cwd=directory,
        port=port,
        ready=lambda: answers(port),
        stop_seconds=10,
    )


def url(port: int) -> str:
    """The URL of the server's first database."""
    return f"redis://{HOST}:{port}/0"


def answers(port: int) -> bool:
    """Whether the server answers a PING with a PONG: one that still loads its file answers something else."""
    try:
        with socket.create_connection((HOST, port), 1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def refusal(port: int) -> str:
    """What the server says to a write that is forgotten in a minute; empty if it takes it.

    One that answers PING may refuse every write: it is full, a replica, or cannot save.
    """
    try:
        with socket.create_connection((HOST, port), 1.0) as connection:
            connection.sendall(b"SET mr:probe 1 EX 60\r\n")
            said = connection.recv(512).decode(errors="replace").strip()
    except OSError:
        return ""  # that it does not answer is said elsewhere
    return said[1:] if said.startswith("-") else ""


def _prepare(directory: Path, settings: Mapping[str, str]) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [f"{name} {value}" for name, value in (_COMMON | {"dir": f'"{directory}"'} | dict(settings)).items()]
    files.write(directory / "redis.conf", "\n".join(lines) + "\n")
