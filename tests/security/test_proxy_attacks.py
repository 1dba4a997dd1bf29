"""Tricks against the reverse proxy: paths, headers, bodies, protocols, and who one says that one is."""

import base64

import pytest

from tests.security.authority import HOST
from tests.security.nginx import SESSION, Proxy

PASSWORD = "ann:right"
LOGIN = {"Authorization": "Basic " + base64.b64encode(PASSWORD.encode()).decode()}
HEADERS = f"Host: {HOST}\nAuthorization: {LOGIN['Authorization']}\n"
FROM_ELSEWHERE = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
GRAPHQL = [
    "/graphql?query=mutation{x}",
    "//graphql?query=mutation{x}",
    "/./graphql?query=mutation{x}",
    "/%2e%2e/graphql?query=mutation{x}",
    "/a/%2e%2e/graphql?query=mutation{x}",
    "/a%2f..%2fgraphql?query=mutation{x}",
    "/%67raphql?query=mutation{x}",
    "/healthz/../graphql?query=mutation{x}",
    "/healthz%2f..%2f/graphql?query=mutation{x}",
    "/graphql/?query=mutation{x}",
    "/graphql%3fquery=mutation{x}",
]


@pytest.mark.parametrize("path", GRAPHQL)
def test_no_spelling_of_a_path_needs_no_login_or_lets_a_link_run_anything(proxy: Proxy, path: str) -> None:
    assert proxy.ask(path)[0] in (400, 401, 403)
    assert proxy.ask(path, **LOGIN, **FROM_ELSEWHERE)[0] in (400, 403)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_browser_that_does_not_say_who_asks_runs_nothing_by_a_picture_or_a_link(proxy: Proxy, method: str) -> None:
    assert proxy.ask("/graphql?query=mutation{x}", method, **LOGIN)[0] == 403
    assert proxy.ask("/graphql", "POST", b"{}", **LOGIN)[0] == 200


@pytest.mark.parametrize(
    "request_line",
    ["GET /graphql HTTP/1.0", "GET /graphql", f"GET https://{HOST}/graphql HTTP/1.1", "GET /graphql HTTP/3"],
)
def test_no_protocol_needs_no_login(proxy: Proxy, request_line: str) -> None:
    told = proxy.send(f"{request_line}\nHost: {HOST}\nConnection: close\n\n")
    assert "Host:" not in told
    assert " 200 " not in told


def test_a_request_behind_one_that_needs_no_login_needs_one(proxy: Proxy) -> None:
    told = proxy.send(f"GET /healthz HTTP/1.1\nHost: {HOST}\n\nGET /graphql HTTP/1.1\nHost: {HOST}\n\n")
    assert [line.split()[1] for line in told.splitlines() if line.startswith("HTTP/1.1")] == ["200", "401"]


@pytest.mark.parametrize(
    "smuggled",
    [
        "Content-Length: 5\nTransfer-Encoding: chunked\n",
        "Content-Length: 5\nContent-Length: 6\n",
        "Transfer-Encoding: xchunked\n",
        "Transfer-Encoding : chunked\n",
        "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n",
        "Content-Length: +5\n",
        "X: a\x00b\n",
    ],
)
def test_a_request_whose_end_is_in_doubt_goes_no_further(proxy: Proxy, smuggled: str) -> None:
    body = f"0\n\nGET /smuggled HTTP/1.1\nHost: {HOST}\n\n"
    told = proxy.send(f"POST /graphql HTTP/1.1\n{HEADERS}{smuggled}\n{body}")
    assert told.split(" ")[1] in ("400", "501")
    assert " 200 " not in told


def test_nobody_says_for_himself_who_he_is_or_where_he_comes_from(proxy: Proxy) -> None:
    forged = {"X_Forwarded_User": "root", "X_Forwarded_For": "6.6.6.6", "X_Forwarded_Host": "evil.example"}
    told = proxy.ask("/", **LOGIN, **forged, X_Forwarded_Proto="gopher")[1]
    assert "X-Forwarded-User: ann" in told
    assert not any(value in told for value in (*forged.values(), "gopher"))
    underscored = proxy.send(f"GET / HTTP/1.1\n{HEADERS}X_Forwarded_User: root\nX-Forwarded-User: root\n\n")
    assert "X-Forwarded-User: ann" in underscored
    assert "root" not in underscored


def test_a_cookie_goes_no_further(proxy: Proxy) -> None:
    assert "secret" not in proxy.ask("/", **LOGIN, Cookie="session=secret")[1]


def test_nothing_but_a_websocket_changes_the_protocol(proxy: Proxy) -> None:
    told = proxy.ask("/graphql", **LOGIN, Upgrade="h2c", Connection="Upgrade, HTTP2-Settings", HTTP2_Settings="AA")[1]
    assert "Upgrade" not in told


def test_a_websocket_needs_a_login(proxy: Proxy) -> None:
    assert proxy.ask("/graphql", Upgrade="websocket", Connection="Upgrade", Origin=proxy.origin)[0] == 401


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(proxy: Proxy) -> None:
    told = proxy.send(f"POST /graphql HTTP/1.1\n{HEADERS}Content-Length: 99999999999\n\n")
    assert told.split(" ")[1] == "413"
    assert "body: 16000000" in proxy.ask("/graphql", "POST", b"x" * 16_000_000, **LOGIN)[1]


@pytest.mark.parametrize("headers", [{}, LOGIN, {**LOGIN, "Origin": "https://evil.example"}])
def test_no_answer_may_be_put_into_a_frame_or_be_guessed_at(proxy: Proxy, headers: dict[str, str]) -> None:
    told = proxy.ask("/", **headers)[2]
    assert told["X-Frame-Options"] == "DENY"
    assert told["X-Content-Type-Options"] == "nosniff"


def test_no_log_quotes_a_query_of_who_was_refused_or_breaks_a_line(proxy: Proxy) -> None:
    wrong = "Basic " + base64.b64encode(b"forged\nline:wrong-password").decode()
    proxy.ask("/runs?token=of-a-stranger", Authorization=wrong)
    proxy.send(f"POST /x%0aforged?token=of-a-stranger HTTP/1.1\n{HEADERS}Content-Length: 99999999999\n\n")
    logs = [proxy.logged("POST /x\\nforged"), (proxy.directory / "error.log").read_text()]
    assert not any(word in log for log in logs for word in ("of-a-stranger", "wrong-password"))
    assert not any(line.startswith(("forged", "line")) for log in logs for line in log.splitlines())


def test_who_asks_too_often_waits_before_a_password_is_even_looked_at(proxy: Proxy) -> None:
    guess = f"GET / HTTP/1.1\nHost: {HOST}\nAuthorization: Basic {base64.b64encode(b'ann:guess').decode()}\n\n"
    told = proxy.send(guess * 400, own="127.0.0.9", silence=1)
    answers = [line.split()[1] for line in told.splitlines() if line.startswith("HTTP/1.1")]
    assert set(answers) == {"401", "429"}
    assert answers.count("401") < 300


def test_single_sign_on_lets_in_who_has_a_session_under_the_name_that_it_tells(single_sign_on: Proxy) -> None:
    assert "GET /oauth2/sign_in" in single_sign_on.ask("/graphql")[1]
    assert "GET /oauth2/sign_in" in single_sign_on.ask("/", **LOGIN, X_Auth_Request_User="ann")[1]
    forged = base64.b64encode(b"root:x").decode()
    told = single_sign_on.ask("/", Cookie=SESSION, Authorization=f"Basic {forged}", X_Auth_Request_User="root")[1]
    assert "X-Forwarded-User: ann" in told
    assert SESSION not in told
    assert "X-Forwarded-User: root" not in told
    single_sign_on.logged(" ann [")


def test_single_sign_on_refuses_another_site_too(single_sign_on: Proxy) -> None:
    assert single_sign_on.ask("/graphql", "POST", b"{}", Cookie=SESSION, Origin="https://evil.example")[0] == 403
    assert single_sign_on.ask("/oauth2/auth", Cookie=SESSION)[0] == 404


def test_what_the_login_believes_of_a_request_is_not_what_the_request_says(single_sign_on: Proxy) -> None:
    forged = {"X_Forwarded_Host": "evil.example", "X_Forwarded_For": "6.6.6.6", "X_Real_IP": "6.6.6.6"}
    told = single_sign_on.ask("/oauth2/start", **forged, X_Forwarded_Uri="/ping", X_Forwarded_Proto="gopher")[1]
    assert not any(value in told for value in (*forged.values(), "/ping", "gopher"))
