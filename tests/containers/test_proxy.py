"""The profile proxy: TLS and a login before the web server, on the only port that strangers may reach."""

import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from infra.local import ports
from tests.containers.stack import Stack, nginx
from tests.security.authority import HOST, Authority, openssl

pytestmark = pytest.mark.containers


def answer(url: str, authority: Authority, login: str = "") -> int:
    """The status of a page."""
    request = urllib.request.Request(url)  # noqa: S310 - https, of ours
    if login:
        request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    try:
        with urllib.request.urlopen(request, context=trusting, timeout=20) as found:  # noqa: S310 - likewise
            return int(found.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_who_has_a_login_gets_through(running: Stack, tmp_path: Path) -> None:
    [port] = ports.free(1, [])
    authority = Authority(tmp_path / "authority").make()
    secrets = running.directory / "secrets"
    (secrets / "proxy_certificate").write_bytes(authority.server.read_bytes())
    (secrets / "proxy_key").write_bytes(authority.key.read_bytes())
    (secrets / "proxy_users").write_text("alice:" + openssl("passwd", "-6", "-stdin", text="right\n"))
    with (running.directory / ".env").open("a") as file:
        file.write(f"PROXY_IMAGE={nginx()}\nMILLRACE_PROXY_BIND=127.0.0.1\nMILLRACE_PROXY_PORT={port}\n")

    running.compose("--profile", "proxy", "up", "--detach", "--wait", "proxy")
    page = f"https://{HOST}:{port}/server_info"
    assert [answer(page, authority, login) for login in ("", "alice:wrong", "alice:right")] == [401, 401, 200]
    running.compose("--profile", "proxy", "rm", "--force", "--stop", "proxy")
