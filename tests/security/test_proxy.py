"""The reverse proxy lets nobody in without a login, nor another site in the name of who has one.

The real nginx, where there is one, with its own files: only the addresses and the places of its files are others here.
Behind it a server that tells what it was sent.
"""

import asyncio
import base64
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from millrace.infra.local import ports
from tests.security.authority import HOST, Authority

FILES = Path(__file__).parents[2] / "infra" / "docker" / "proxy"
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"ann:right").decode()}


class _Tells(BaseHTTPRequestHandler):
    """Answers with the headers that it was sent; an upgrade is taken."""

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            return
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - so named

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so named
        pass


def _nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("needs nginx")
    return found


def _adapted(directory: Path, authority: Authority, main: str, port: int, behind: int) -> Path:
    """The files, each with other places."""
    (directory / "run").mkdir()
    (directory / "mime.types").write_text("types { text/plain txt; }\n")
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input="right\n", capture_output=True, text=True, check=True
    ).stdout
    (directory / "users").write_text(f"ann:{hashed}")
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


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Authority, Path]]:
    """The port of a running proxy, who signed its certificate, and its folder."""
    program, directory = _nginx(), tmp_path_factory.mktemp("proxy")
    authority = Authority(directory / "authority").make()
    behind = ThreadingHTTPServer(("127.0.0.1", 0), _Tells)
    Thread(target=behind.serve_forever, daemon=True).start()
    [port] = ports.free(1)
    config = _adapted(directory, authority, "nginx.conf", port, behind.server_port)
    with subprocess.Popen([program, "-e", "stderr", "-p", str(directory), "-c", str(config)]) as child:
        _wait(port)
        yield port, authority, directory
        child.terminate()
    behind.shutdown()
    behind.server_close()


def _wait(port: int) -> None:
    for _ in range(100):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("nginx did not start")


def ask(
    proxy: tuple[int, Authority, Path], path: str = "/", method: str = "GET", **headers: str
) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers of an answer."""
    port, authority, _ = proxy
    context = ssl.create_default_context(cafile=str(authority.certificate))
    connection = HTTPSConnection(HOST, port, timeout=10, context=context)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode() if answer.status != 101 else "", dict(answer.headers)


@pytest.mark.parametrize("main", ["nginx.conf", "oidc.conf"])
def test_the_files_are_right(main: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority").make()
    config = _adapted(tmp_path, authority, main, 8443, 3000)
    done = subprocess.run(
        [_nginx(), "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(config)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@pytest.mark.parametrize("path", ["/", "/graphql", "/server_info", "/locations", "/healthz/", "/healthz/../graphql"])
def test_nobody_gets_in_without_a_login(proxy: tuple[int, Authority, Path], path: str) -> None:
    wrong = "Basic " + base64.b64encode(b"ann:wrong").decode()
    assert ask(proxy, path)[0] == 401
    assert "Host:" not in ask(proxy, path)[1]
    assert ask(proxy, path, Authorization=wrong)[0] == 401


def test_who_has_a_login_gets_in_and_the_password_goes_no_further(proxy: tuple[int, Authority, Path]) -> None:
    status, told, headers = ask(proxy, **LOGIN)
    assert status == 200
    assert "X-Forwarded-User: ann" in told
    assert "Authorization" not in told
    assert headers["Strict-Transport-Security"]
    assert headers["X-Frame-Options"] == "DENY"


def test_websockets_pass(proxy: tuple[int, Authority, Path]) -> None:
    port, _, _ = proxy
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Origin": f"https://{HOST}:{port}"}
    assert ask(proxy, "/graphql", **LOGIN, **upgrade)[0] == 101
    assert ask(proxy, "/graphql", **LOGIN, **{**upgrade, "Origin": "https://evil.example"})[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_site_cannot_run_anything_in_the_name_of_a_visitor(
    proxy: tuple[int, Authority, Path], method: str, headers: dict[str, str]
) -> None:
    assert ask(proxy, "/graphql?query=mutation{x}", method, **LOGIN, **headers)[0] == 403


def test_a_link_in_an_alert_leads_to_its_page(proxy: tuple[int, Authority, Path]) -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert ask(proxy, "/runs/1", **LOGIN, **link)[0] == 200


def test_plain_text_is_refused(proxy: tuple[int, Authority, Path]) -> None:
    async def plain() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy[0])
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read(4096)
        writer.close()
        return answer

    assert b"400 Bad Request" in asyncio.run(plain())


def test_the_log_has_no_query_and_no_password(proxy: tuple[int, Authority, Path]) -> None:
    ask(proxy, "/runs?token=of-a-query", **LOGIN)
    time.sleep(0.3)  # it is written after the answer
    log = (proxy[2] / "access.log").read_text()
    assert '"GET /runs" 200' in log
    assert "of-a-query" not in log
    assert LOGIN["Authorization"].split()[1] not in log
