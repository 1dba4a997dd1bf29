"""PostgreSQL 18 for one machine: its data, its settings, its start command.

What belongs here: what makes a cluster ready to be started. What does not: tables and roles
(`infra.postgres`).
"""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from infra.local import binaries, files, run_as_user
from infra.local.services import HOST, LocalError, LocalService

NAME = "postgres"
_USER = _DATABASE = "millrace"

_MIB = 2**20
# An eighth of the memory, between these: what does not fit is copied from the system's cache for each look at it, which
# a full day of events makes as expensive as the rest of a refresh.
_LEAST_BUFFERS, _MOST_BUFFERS = 256 * _MIB, 2048 * _MIB
_BUFFERS = min(max(psutil.virtual_memory().total // 8, _LEAST_BUFFERS), _MOST_BUFFERS)
# Durable, and sized for a laptop that runs everything else as well.
_SETTINGS = {
    "listen_addresses": f"'{HOST}'",
    "unix_socket_directories": "''",
    "max_connections": "200",
    "shared_buffers": f"{_BUFFERS // _MIB}MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_locks_per_transaction": "256",  # a query over a year of days locks every partition and index
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %a '",
    "log_checkpoints": "off",
    "max_prepared_transactions": "0",  # one that is left behind holds its locks for ever
    # A failed statement, and an error's own first line, may quote a row, which is personal data; its client is told,
    # the log is not. What the server says of itself (LOG, FATAL, PANIC) stays. The same in Compose and on RDS.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


def prepare(directory: Path) -> None:
    """Make the cluster with its user and its database, once, and write its settings anew each time."""
    directory.mkdir(parents=True, exist_ok=True)
    data = directory / "data"
    if not (data / "PG_VERSION").exists():
        _make_cluster(directory)
    _forget_the_dead(data)
    settings = "".join(f"{name} = {value}\n" for name, value in _SETTINGS.items())
    files.write(
        data / "millrace.conf",
        f"# written at each start; your own settings go to postgresql.conf\n{settings}",
    )
    owner = run_as_user.unprivileged(data)
    if owner:
        _give(data, owner.pw_uid, owner.pw_gid)


def service(directory: Path, port: int) -> LocalService:
    """How to run the cluster in a prepared directory."""
    data = directory / "data"
    command = (str(binaries.postgres("postgres")), "-D", str(data), "-p", str(port))
    return LocalService(
        name=NAME,
        command=run_as_user.wrapped(command, run_as_user.unprivileged(data), data),
        cwd=directory,
        environment={"LC_ALL": "C"},
        port=port,
        ready=lambda: answers(url(directory, port)),
        stop_signal="INT",  # ends the sessions that are open, cleanly; TERM would wait for them
        stop_seconds=30,
    )


def url(directory: Path, port: int, *, user: str = _USER, password: str | None = None) -> str:
    """The URL of the database, password included; by default its owner's."""
    secret = files.secret(directory / "password") if password is None else password
    return f"postgresql://{user}:{quote(secret, safe='')}@{HOST}:{port}/{_DATABASE}"


def answers(address: str) -> bool:
    """Whether the database accepts a session and answers a query."""
    try:
        with psycopg.connect(address, connect_timeout=2) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def _make_cluster(directory: Path) -> None:
    """Make it beside its place and move it there when it is whole: a half-made one would never start."""
    staging, password = directory / "data.new", directory / "password.initdb"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    files.write(password, files.secret(directory / "password"), 0o600)
    owner = run_as_user.unprivileged(staging)
    if owner:
        os.chown(staging, owner.pw_uid, owner.pw_gid)
        os.chown(password, owner.pw_uid, owner.pw_gid)
    locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    arguments = ("-D", str(staging), "-U", _USER, f"--pwfile={password}", "--auth=scram-sha-256")
    _run(staging, "initdb", *arguments, *locale)
    with (staging / "postgresql.conf").open("a") as file:
        file.write("include_if_exists = 'millrace.conf'\n")
    _run(
        staging,
        "postgres",
        "--single",
        "-D",
        str(staging),
        "postgres",
        text=f"create database {_DATABASE};\n",
    )
    password.unlink()
    staging.rename(directory / "data")


def _forget_the_dead(data: Path) -> None:
    """Remove the lock of a server that is gone when its pid belongs to somebody else now, after a reboot for example.

    PostgreSQL itself would take the other process for a server and refuse to start.
    """
    lock = data / "postmaster.pid"
    try:
        process = psutil.Process(int(lock.read_text().splitlines()[0]))
        if process.name() == "postgres" and Path(process.cwd()) == data:
            return
    except FileNotFoundError:
        return
    except (psutil.Error, ValueError, IndexError):
        pass
    lock.unlink()


def _run(data: Path, program: str, *arguments: str, text: str = "") -> None:
    command = run_as_user.wrapped((str(binaries.postgres(program)), *arguments), run_as_user.unprivileged(data), data)
    environment = {**os.environ, "LC_ALL": "C"}
    answer = subprocess.run(
        command, cwd=data.parent, env=environment, input=text, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise LocalError(f"{program} failed in {data.parent}:\n{answer.stdout}{answer.stderr}".rstrip())


def _give(directory: Path, uid: int, gid: int) -> None:
    """Hand a cluster to its account, when it came from another machine or was copied by root."""
    if directory.stat().st_uid == uid and (directory / "millrace.conf").stat().st_uid == uid:
        return
    os.chown(directory, uid, gid)
    for path in directory.rglob("*"):
        os.chown(path, uid, gid, follow_symlinks=False)
