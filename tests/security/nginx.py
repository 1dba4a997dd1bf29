"""The proxy of infra/docker/proxy: the real nginx, this machine's or Debian's, before a server that tells what it got.

What belongs here: starting both, and asking. Only the addresses and the places of the files are others than in the
image. What does not: what the answers should be.
"""

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from infra.local import ports
from tests.security.authority import HOST, Authority, openssl
from tests.support.packages import Program, program

FILES = Path(__file__).parents[2] / "infra" / "docker" / "proxy"


SESSION = "_oauth2_proxy=of-ann"


class _Tells(BaseHTTPRequestHandler):
    """Answers with the request line and the headers that it was sent; an upgrade is taken.

    For oauth2-proxy it says who has logged in: ann, who has the right cookie.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/oauth2/auth":
            self._know()
        elif self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.close_connection = True
        else:
            self._tell()

    def _know(self) -> None:
        known = self.headers.get("Cookie") == SESSION
        self.send_response(202 if known else 401)
        if known:
            self.send_header("X-Auth-Request-User", "ann")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _tell(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = f"{self.requestline}\n{self.headers}body: {len(sent)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - so named

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so named
        pass


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its port, who signed its certificate, and its folder."""

    port: int
    authority: Authority
    directory: Path

    @property
    def origin(self) -> str:
        """Its own, as a browser says it."""
        return f"https://{HOST}:{self.port}"

    def ask(
        self, path: str = "/", method: str = "GET", body: bytes | None = None, /, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers of an answer; the path is sent as it is."""
        connection = HTTPSConnection(HOST, self.port, timeout=10, context=self._trusting())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.read().decode() if answer.status != 101 else "", dict(answer.headers)

    def send(self, text: str, *, own: str = "127.0.0.1", silence: float = 0.5) -> str:
        """What comes back for what no client would send, until the proxy closes or is silent for so many seconds."""
        told, plain = b"", socket.create_connection((HOST, self.port), timeout=10, source_address=(own, 0))
        with self._trusting().wrap_socket(plain, server_hostname=HOST) as client:
            client.sendall(text.replace("\n", "\r\n").encode("latin-1"))
            client.settimeout(silence)
            with suppress(TimeoutError, OSError):
                while data := client.recv(65536):
                    told += data
        return told.decode("latin-1")

    def logged(self, text: str) -> str:
        """The log of requests, once a text is in it: nginx writes a line when it is done with the connection."""
        log = ""
        for _ in range(100):
            log = (self.directory / "access.log").read_text()
            if text in log:
                return log
            time.sleep(0.1)
        pytest.fail(f"{text!r} is not logged: {log}")

    def _trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority.certificate))


@contextmanager
def running(directory: Path, main: str = "nginx.conf", *, dagster: int = 0) -> Generator[Proxy]:
    """Start both; before what listens on a port, if one is given."""
    nginx = program("nginx", "nginx")
    authority = Authority(directory / "authority").make()
    behind = ThreadingHTTPServer(("127.0.0.1", 0), _Tells)
    Thread(target=behind.serve_forever, daemon=True).start()
    [port] = ports.free(1)
    config = adapted(directory, authority, main, port, dagster or behind.server_port)
    environment = {**os.environ, **nginx.environment}
    with (
        (directory / "error.log").open("wb") as log,
        subprocess.Popen(command(nginx, config), env=environment, stderr=log) as child,
    ):
        try:
            _wait(port)
            yield Proxy(port, authority, directory)
        finally:
            child.terminate()
    behind.shutdown()
    behind.server_close()


def command(nginx: Program, config: Path) -> list[str]:
    """nginx with a configuration, and nothing of its package's."""
    return [str(nginx.path), "-e", "stderr", "-p", str(config.parent), "-c", str(config)]


def adapted(directory: Path, authority: Authority, main: str, port: int, behind: int) -> Path:
    """The files, each with other places; the path of the first one."""
    (directory / "run").mkdir()
    (directory / "mime.types").write_text("types { text/plain txt; }\n")
    (directory / "users").write_text(f"ann:{openssl('passwd', '-6', '-stdin', text='right')}")
    changes = {
        "/tmp/": f"{directory}/run/",
        "/run/secrets/proxy_certificate": str(authority.server),
        "/run/secrets/proxy_key": str(authority.key),
        "/run/secrets/proxy_users": str(directory / "users"),
        "/etc/nginx/millrace/": f"{directory}/",
        "/etc/nginx/mime.types": str(directory / "mime.types"),
        "listen 8443": f"listen 127.0.0.1:{port}",
        "http://webserver:3000": f"http://127.0.0.1:{behind}",
        "http://oauth2-proxy:4180": f"http://127.0.0.1:{behind}",
        "/dev/stdout": str(directory / "access.log"),
    }
    for path in FILES.glob("*.conf"):
        text = path.read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        (directory / path.name).write_text("user root;\n" + text if path.name == main and os.geteuid() == 0 else text)
    return directory / main


def _wait(port: int) -> None:
    for _ in range(100):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("nginx did not start")
