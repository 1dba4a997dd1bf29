"""A PostgreSQL that lets in over TLS only: the machine's own or Debian's, since the embedded one is built without TLS.

What belongs here: finding it, and making and starting a cluster. What does not: what a client may do with it.
"""

import os
import subprocess
from pathlib import Path
from urllib.parse import quote

from millrace.infra.local import account, postgres
from millrace.infra.local.services import HOST, Service
from tests.security.authority import Authority
from tests.support.packages import Program, program

_INSTALLED = Path("/usr/lib/postgresql")
PASSWORD = "p%st/gres"  # characters that a URL must escape
_SETTINGS = f"""
listen_addresses = '{HOST}'
unix_socket_directories = ''
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
max_locks_per_transaction = 256
"""


def server() -> Program:
    """A PostgreSQL that has TLS, with `initdb` beside it: the newest package here, one on the PATH, or unpacked."""
    found = sorted(_INSTALLED.glob("*/bin/postgres"), key=lambda path: int(path.parent.parent.name))
    return Program(found[-1]) if found else program("postgres", "postgresql", needs=("initdb",))


def prepared(directory: Path, port: int, authority: Authority) -> Service:
    """A new cluster, ready to be started."""
    data, postgresql = directory / "data", server()
    data.mkdir(parents=True, mode=0o700)
    owner = account.unprivileged(data)
    (directory / "password").write_text(PASSWORD)
    if owner:
        for path in (data, directory / "password"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    initdb = str(postgresql.path.with_name("initdb"))
    make = (initdb, "-D", str(data), "-U", "millrace", "--encoding=UTF8", "--locale=C", "--no-sync")
    _run((*make, "--auth=scram-sha-256", f"--pwfile={directory / 'password'}"), data, postgresql)
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    with (data / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS)
    for path in (authority.server, authority.key):
        copy = data / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
        if owner:
            os.chown(copy, owner.pw_uid, owner.pw_gid)
    command = account.wrapped((str(postgresql.path), "-D", str(data), "-p", str(port)), owner, data)
    return Service(
        name="postgres", command=command, cwd=directory, port=port, stop_signal="INT",
        ready=lambda: postgres.answers(url(port)), environment={"LC_ALL": "C", **postgresql.environment},
    )  # fmt: skip


def url(port: int, host: str = HOST, query: str = "") -> str:
    """The URL of the database."""
    return f"postgresql://millrace:{quote(PASSWORD, safe='')}@{host}:{port}/postgres{query}"


def _run(command: tuple[str, ...], data: Path, postgresql: Program) -> None:
    full = account.wrapped(command, account.unprivileged(data), data)
    environment = {**os.environ, **postgresql.environment}
    done = subprocess.run(full, cwd=data.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
