"""The web server is on loopback, where every page that an operator visits can send its browser: none can use it."""

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus

from tests.security import nginx
from tests.security.web import HOST, WebServer, web_server

pytestmark = pytest.mark.services

MUTATION = 'mutation { setConcurrencyLimit(concurrencyKey: "of-a-stranger", limit: 1) }'
LIMITS = "{ instance { concurrencyLimits { concurrencyKey } } }"
FORM = "application/x-www-form-urlencoded"
BY_LINK = f"/graphql?query={quote(MUTATION)}"
EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("webserver")) as started:
        yield started


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", HOST, HOST + ":8443"])
def test_its_own_names_are_answered(server: WebServer, host: str) -> None:
    assert server.ask(Host=host)[0] == 200


@pytest.mark.parametrize("path", ["/", "/server_info", "/graphql", "/logs/x", "/favicon.png"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.1.2.3", "localhost@evil.example"])
def test_a_name_that_somebody_elses_dns_leads_here_is_refused(server: WebServer, path: str, host: str) -> None:
    status, text, _ = server.ask(path, Host=f"{host}:{server.port}")
    assert status in (400, 403)
    assert status == 400 or "MILLRACE_WEBSERVER_HOSTS" in text


def test_a_page_under_a_foreign_name_runs_nothing_though_all_its_requests_are_of_one_origin(server: WebServer) -> None:
    own = {"Host": "evil.example", "Origin": "http://evil.example", "Sec_Fetch_Site": "same-origin"}
    assert server.graphql(MUTATION, **own)[0] == 403
    with pytest.raises(InvalidStatus) as refused:
        server.websocket("http://evil.example", "evil.example").close()
    assert refused.value.response.status_code in (400, 403)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", FORM, "text/plain; application/json"])
@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:1", "http://127.0.0.1:3000"])
def test_a_form_or_a_script_of_another_site_runs_nothing(server: WebServer, kind: str, origin: str) -> None:
    status, text = server.graphql(MUTATION, Content_Type=kind, Origin=origin)
    assert status == 403
    assert "another site" in text
    assert server.ask(BY_LINK, "POST", "", Content_Type=kind, Origin=origin)[0] == 403
    assert server.ask("/report_asset_materialization/a", "POST", "{}", Content_Type=kind, Origin=origin)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("mode", ["navigate", "no-cors", "cors", "websocket"])
def test_what_a_browser_says_was_asked_by_another_site_runs_nothing(server: WebServer, site: str, mode: str) -> None:
    said = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode}
    assert server.graphql(MUTATION, **said)[0] == 403
    assert server.ask(BY_LINK, **said)[0] == 403
    assert server.ask("/runs/1", **said)[0] == (200 if mode == "navigate" else 403)


@pytest.mark.parametrize("path", [BY_LINK, BY_LINK.replace("/graphql", "/%67raphql"), BY_LINK.replace("?", "/?")])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_no_link_and_no_picture_runs_a_mutation_in_any_browser(server: WebServer, path: str, method: str) -> None:
    status, text, _ = server.ask(path, method, Accept="image/png")
    assert status == 405
    assert method == "HEAD" or "POST" in text


def test_what_a_form_can_send_is_no_graphql_even_where_the_browser_does_not_say_who_asks(server: WebServer) -> None:
    for kind in ("text/plain", FORM, "multipart/form-data; boundary=x", "text/plain; charset=application/json"):
        assert server.graphql(MUTATION, Content_Type=kind)[0] == 415
        assert server.ask(BY_LINK, "POST", "", Content_Type=kind)[0] == 415
    assert server.ask(BY_LINK, "POST", "")[0] == 415


@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:1"])
def test_a_page_of_another_site_opens_no_websocket(server: WebServer, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        server.websocket(origin).close()
    assert refused.value.response.status_code == 403
    assert b"another site" in (refused.value.response.body or b"")


def test_no_answer_may_be_put_into_a_frame_or_be_guessed_at(server: WebServer) -> None:
    for path, headers in (("/", {}), ("/server_info", {}), ("/", {"Origin": EVIL}), ("/favicon.png", {})):
        told = server.ask(path, **headers)[2]
        assert told["x-frame-options"] == "DENY"
        assert told["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in told["content-security-policy"]
    assert "script-src 'nonce-" in server.ask("/")[2]["content-security-policy"], "Dagster's own policy stays"


def test_the_page_and_its_parts_work(server: WebServer) -> None:
    own = {"Origin": server.origin, "Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}
    assert "<html" in server.ask("/", Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate")[1]
    assert "<html" in server.ask("/graphql", Accept="text/html", Sec_Fetch_Site="none")[1]
    assert "of-a-stranger" not in server.graphql(LIMITS)[1], "no mutation that was refused has run"
    assert server.graphql(MUTATION, **own)[0] == 200
    assert "of-a-stranger" in server.graphql(LIMITS)[1]
    assert server.ask("/download_debug/none", **own)[0] not in (403, 405)
    assert server.ask("/logs/none.err", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="navigate")[0] == 404


def test_a_program_that_is_no_browser_works(server: WebServer) -> None:
    assert server.graphql("{ version }")[0] == 200
    assert server.graphql("{ version }", Content_Type="application/json; charset=utf-8")[0] == 200
    with server.websocket() as client:
        client.send('{"type": "connection_init"}')
        assert "connection_ack" in str(client.recv(timeout=60))


def test_a_page_of_its_own_is_kept_up_to_date_by_a_websocket(server: WebServer) -> None:
    with server.websocket(server.origin) as client:
        client.send('{"type": "connection_init"}')
        assert "connection_ack" in str(client.recv(timeout=60))


def test_behind_the_proxy_it_is_used_under_the_proxys_name_and_by_nobody_elses_page(
    server: WebServer, tmp_path: Path
) -> None:
    login = {"Authorization": "Basic " + base64.b64encode(b"ann:right").decode(), "Sec_Fetch_Site": "same-origin"}
    body = b'{"query": "{ version }"}'
    with nginx.running(tmp_path, dagster=server.port) as proxy:
        own = {**login, "Origin": proxy.origin, "Content_Type": "application/json"}
        assert proxy.ask("/", **login, Sec_Fetch_Mode="navigate")[0] == 200
        assert '"version"' in proxy.ask("/graphql", "POST", body, **own)[1]
        assert proxy.ask("/graphql", "POST", body, **{**own, "Origin": EVIL})[0] == 403
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
        key = {"Sec_WebSocket_Key": base64.b64encode(b"0123456789abcdef").decode()}
        assert proxy.ask("/graphql", **own, **upgrade, **key, Sec_WebSocket_Protocol="graphql-ws")[0] == 101
