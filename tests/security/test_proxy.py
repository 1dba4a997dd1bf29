"""The reverse proxy lets nobody in without a login, nor another site in the name of who has one."""

import asyncio
import base64
import os
import subprocess
from pathlib import Path

import pytest

from tests.security import nginx
from tests.security.authority import Authority
from tests.security.nginx import Proxy
from tests.support.packages import program

LOGIN = {"Authorization": "Basic " + base64.b64encode(b"ann:right").decode()}


@pytest.mark.parametrize("main", ["nginx.conf", "oidc.conf"])
def test_the_files_are_right(main: str, tmp_path: Path) -> None:
    found = program("nginx", "nginx")
    config = nginx.adapted(tmp_path, Authority(tmp_path / "authority").make(), main, 8443, 3000)
    asked = [*nginx.command(found, config), "-t"]
    done = subprocess.run(asked, env={**os.environ, **found.environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@pytest.mark.parametrize("path", ["/", "/graphql", "/server_info", "/locations", "/healthz/", "/healthz/../graphql"])
def test_nobody_gets_in_without_a_login(proxy: Proxy, path: str) -> None:
    wrong = "Basic " + base64.b64encode(b"ann:wrong").decode()
    assert proxy.ask(path)[0] == 401
    assert "Host:" not in proxy.ask(path)[1]
    assert proxy.ask(path, Authorization=wrong)[0] == 401


def test_who_has_a_login_gets_in_and_the_password_goes_no_further(proxy: Proxy) -> None:
    status, told, headers = proxy.ask(**LOGIN)
    assert status == 200
    assert "X-Forwarded-User: ann" in told
    assert "Authorization" not in told
    assert headers["Strict-Transport-Security"]
    assert headers["X-Frame-Options"] == "DENY"


def test_dagster_is_asked_by_a_name_that_it_has_and_by_no_origin_since_both_were_looked_at(proxy: Proxy) -> None:
    told = proxy.ask("/graphql", "POST", b"{}", **LOGIN, Origin=proxy.origin)[1]
    assert "Host: localhost\n" in told.replace("\r", "")
    assert "Origin" not in told


def test_websockets_pass(proxy: Proxy) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Origin": proxy.origin}
    assert proxy.ask("/graphql", **LOGIN, **upgrade)[0] == 101
    assert proxy.ask("/graphql", **LOGIN, **{**upgrade, "Origin": "https://evil.example"})[0] == 403


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
    proxy: Proxy, method: str, headers: dict[str, str]
) -> None:
    assert proxy.ask("/graphql?query=mutation{x}", method, **{**LOGIN, **headers})[0] == 403


def test_a_link_in_an_alert_leads_to_its_page(proxy: Proxy) -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert proxy.ask("/runs/1", **LOGIN, **link)[0] == 200


def test_plain_text_is_refused(proxy: Proxy) -> None:
    async def plain() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read(4096)
        writer.close()
        return answer

    assert b"400 Bad Request" in asyncio.run(plain())


def test_the_log_has_no_query_and_no_password(proxy: Proxy) -> None:
    proxy.ask("/runs?token=of-a-query", **LOGIN)
    log = proxy.logged('"GET /runs" 200')
    assert "of-a-query" not in log
    assert LOGIN["Authorization"].split()[1] not in log
