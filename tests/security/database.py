"""A PostgreSQL that lets in over TLS only: the machine's own or Debian's, since the embedded one is built without TLS.

What belongs here: finding one that has TLS, its settings. What does not: making a cluster (`tests.support.cluster`),
and what a client may do with it.
"""

import os
from pathlib import Path

from infra.local import run_as_user
from infra.local.services import LocalService
from tests.security.authority import Authority
from tests.support import cluster
from tests.support.packages import Program, program

_TLS = "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n"


def server() -> Program:
    """A PostgreSQL that has TLS, with `initdb` beside it: the newest package here, one on the PATH, or unpacked."""
    found = sorted(cluster.INSTALLED.glob("*/bin/postgres"), key=lambda path: int(path.parent.parent.name))
    return Program(found[-1]) if found else program("postgres", "postgresql", needs=("initdb",))


def prepared(directory: Path, port: int, authority: Authority) -> LocalService:
    """A new cluster, ready to be started."""
    service = cluster.prepared(directory, port, server())
    data = directory / "data"
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    with (data / "postgresql.conf").open("a") as file:
        file.write(_TLS)
    owner = run_as_user.unprivileged(data)
    for path in (authority.server, authority.key):
        copy = data / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
        if owner:
            os.chown(copy, owner.pw_uid, owner.pw_gid)
    return service
