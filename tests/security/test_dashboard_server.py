"""The dashboards are on loopback, where any page can send a visitor's browser: they have the web server's rules."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.monitoring.browser import serving
from tests.security.web import WebServer

EVIL = "https://evil.example"
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="
PAGE = "/d/millrace-security"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with serving(tmp_path_factory.mktemp("dashboard")) as url:
        yield WebServer(int(url.rpartition(":")[2]))


def test_its_own_names_are_answered(server: WebServer) -> None:
    for host in ("localhost", "127.0.0.1", f"127.0.0.1:{server.port}"):
        assert server.ask(PAGE, Host=host)[0] == 200


@pytest.mark.parametrize("path", ["/", PAGE, "/runbook", "/health", SOCKET + "polling"])
def test_a_name_that_somebody_elses_dns_leads_here_is_refused(server: WebServer, path: str) -> None:
    assert server.ask(path, Host=f"evil.example:{server.port}")[0] == 403


def test_a_page_of_another_site_reads_nothing_and_opens_no_websocket(server: WebServer) -> None:
    assert server.ask(SOCKET + "polling", Origin=EVIL)[0] == 403
    assert server.ask(SOCKET + "polling", "POST", "40", Origin=EVIL)[0] == 403
    assert server.ask(PAGE, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors")[0] == 403
    for origin, host in ((EVIL, "localhost"), ("http://evil.example", "evil.example")):
        with pytest.raises(InvalidStatus) as refused:
            _opened(server, host, origin)
        assert refused.value.response.status_code == 403
    _opened(server, "localhost", f"http://localhost:{server.port}")


def _opened(server: WebServer, host: str, origin: str) -> None:
    reached = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    own: Any = {"origin": origin, "open_timeout": 60}
    with connect(f"ws://{host}:{server.port}{SOCKET}websocket", sock=reached, **own):
        return


def test_a_link_from_a_chat_opens_a_page_and_no_frame_holds_it(server: WebServer) -> None:
    status, _, told = server.ask(PAGE, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
    assert status == 200
    assert told["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in told["content-security-policy"]


def test_it_listens_on_loopback_alone(server: WebServer) -> None:
    found = [each.laddr for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    listening = [address for address in found if address]
    assert {address.ip for address in listening if address.port == server.port} == {"127.0.0.1"}


def test_it_writes_nothing_where_it_is_started(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        assert WebServer(int(url.rpartition(":")[2])).ask(PAGE)[0] == 200
    assert [path.name for path in tmp_path.iterdir()] == ["dashboard.log"]
