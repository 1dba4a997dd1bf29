"""A throw-away certificate authority, made by the `openssl` program; Python's standard library has none.

What belongs here: keys and certificates in files. What does not: the servers that use them (`servers`).
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.packages import program

HOST = "localhost"  # the only name in most certificates: 127.0.0.1 reaches the same servers under a wrong one

_CONFIG = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = CA:FALSE
subjectAltName = NAMES
"""


@dataclass(frozen=True)
class Authority:
    """An authority and the server's certificate that it has signed; all files are PEM."""

    directory: Path
    names: tuple[str, ...] = (HOST,)

    @property
    def certificate(self) -> Path:
        """What a client is to trust."""
        return self.directory / "authority.pem"

    @property
    def server(self) -> Path:
        """The server's certificate."""
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        """The server's key."""
        return self.directory / "server.key"

    def make(self) -> "Authority":
        """Make the files."""
        self.directory.mkdir(parents=True)
        names = ", ".join(f"DNS:{name}" for name in self.names)
        (self.directory / "openssl.cnf").write_text(_CONFIG.replace("NAMES", names))
        self._request("authority")
        self._request("server", "-CA", str(self.certificate), "-CAkey", str(self.directory / "authority.key"))
        return self

    def _request(self, name: str, *signed: str) -> None:
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
        files = ("-keyout", str(self.directory / f"{name}.key"), "-out", str(self.directory / f"{name}.pem"))
        shape = ("-config", str(self.directory / "openssl.cnf"), "-extensions", name, "-subj", f"/CN={name}")
        openssl("req", "-x509", *kind, *files, *shape, *signed)


def openssl(*arguments: str, text: str = "") -> str:
    """What the program says to a text."""
    found = program("openssl", "openssl")
    return subprocess.run(
        [found.path, *arguments], input=text, env={**os.environ, **found.environment}, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
