"""Who is a stranger to the web server, decided without one."""

import pytest

from orchestration.dagster_runtime import web_rules
from orchestration.dagster_runtime.web_rules import Asked, Rules
from orchestration.secret_files import SettingsError
from orchestration.settings import load
from tests.orchestration.test_settings import GOOD


def refused(
    hosts: tuple[str, ...] = (), /, *, method: str = "GET", path: str = "/", address: str = "", **headers: str
) -> str:
    """The reason, or nothing."""
    named = {name.replace("_", "-"): [value] for name, value in {"host": "localhost", **headers}.items()}
    found = Rules(hosts).refusal(Asked(method, path, "", named, address))
    return found[1] if found else ""


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "localhost.evil.example", "evil.localhost", "127.0.0.1.nip.io", "0x7f000001", "127.1"),
        *("a@localhost", "localhost/", "localhost:80:80", "localhost, evil.example", "localhost evil"),
        *("[::2]", "10.0.0.1", "0.0.0.0"),  # noqa: S104 - nobody listens there
    ],
)
def test_a_host_that_is_not_known_is_refused(host: str) -> None:
    assert refused(host=host) == web_rules.FOREIGN_HOST


@pytest.mark.parametrize("host", ["localhost", "localhost.:3000", "127.0.0.1:3000", "[::1]:3000", "[::ffff:127.0.0.1]"])
def test_loopback_is_known_in_all_spellings_that_a_browser_sends(host: str) -> None:
    assert refused(host=host) == ""


def test_a_host_is_needed_and_only_one() -> None:
    assert Rules().refusal(Asked("GET")) is not None
    assert Rules().refusal(Asked("GET", headers={"host": ["localhost", "localhost"]})) is not None


def test_the_address_that_a_connection_came_to_is_known_since_no_dns_leads_to_it() -> None:
    """So probes of Kubernetes, which ask for a pod by its address, need no setting."""
    assert refused(host="10.0.0.1:3000", address="10.0.0.1") == ""
    assert refused(host="10.0.0.1:3000", address="::ffff:10.0.0.1") == ""
    assert refused(host="10.0.0.2:3000", address="10.0.0.1") == web_rules.FOREIGN_HOST


def test_names_of_the_setting_are_known_with_any_port() -> None:
    hosts = load({**GOOD, "MILLRACE_WEBSERVER_HOSTS": "Millrace.example.org, 10.0.0.9,[2001:db8::1]"}).webserver_hosts
    for host in ("millrace.example.org", "MILLRACE.example.org:8443", "10.0.0.9", "[2001:DB8:0::1]:1"):
        assert refused(hosts, host=host) == ""
    assert refused(hosts, host="other.example.org") == web_rules.FOREIGN_HOST


@pytest.mark.parametrize("value", ["*", "*.example.org", "host:3000", "https://host", "a b", ",", "[::1", "user@host"])
def test_a_setting_that_names_no_host_is_told(value: str) -> None:
    with pytest.raises(SettingsError, match="MILLRACE_WEBSERVER_HOSTS: expected names of hosts"):
        load({**GOOD, "MILLRACE_WEBSERVER_HOSTS": value})


def test_an_origin_is_ours_if_it_is_the_host_that_was_asked_for() -> None:
    assert refused(host="localhost:3000", origin="http://localhost:3000") == ""
    assert refused(host="localhost", origin="https://localhost") == ""
    for origin in ("http://localhost:8888", "http://127.0.0.1:3000", "null", "", "http://localhost:3000.evil.example"):
        assert refused(host="localhost:3000", origin=origin) == web_rules.ANOTHER_SITE


def test_two_values_of_a_header_are_as_bad_as_the_worse_one() -> None:
    for name, good, bad in (("origin", "http://localhost", "null"), ("sec-fetch-site", "same-origin", "cross-site")):
        headers = {"host": ["localhost"], name: [good, bad]}
        assert Rules().refusal(Asked("POST", "/x", headers=headers)) == (403, web_rules.ANOTHER_SITE)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "what-is-not-known-yet"])
def test_a_link_leads_to_a_page_and_to_nothing_else(site: str) -> None:
    link = {"sec_fetch_site": site, "sec_fetch_mode": "navigate"}
    assert refused(path="/runs/1", **link) == ""
    assert refused(path="/graphql", **link) == web_rules.ANOTHER_SITE
    assert refused(path="/runs/1", method="POST", **link) == web_rules.ANOTHER_SITE
    assert refused(path="/runs/1", sec_fetch_site=site) == web_rules.ANOTHER_SITE
    assert refused(path="/graphql", method="", **link) == web_rules.ANOTHER_SITE
