"""What a container of Compose may do, whom it reaches, and what it is given, as compose.yaml says by default.

What belongs here: what the file promises of all services, whichever profile has them. What does not: the same on an
engine (`tests/containers`), and what Kubernetes is told (`tests/kubernetes`).
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local import kafka
from tests.aws.test_host import OVERLAY

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "infra" / "docker"
# Kafka's and Grafana's images are of a user of their own, who is not root; the others are told which.
OWN_USER = {"kafka", "grafana"}
LOOPBACK = {"webserver": "MILLRACE_BIND", "grafana": "MILLRACE_BIND", "kafka": "KAFKA_BIND"}
MORE = {"privileged", "cap_add", "devices", "device_cgroup_rules", "pid", "ipc", "userns_mode", "volumes_from"}
PROCESSES = {"code-server", "daemon", "migrate", "webserver", "worker-aggregates", "worker-default", "worker-ingest"}
SERVERS = {"broker", "kafka", "postgres", "redis"}
MEMBERS = {
    "front": {"proxy", "webserver"},
    "boards": {"grafana"},
    "producers": {"kafka"},
    "published": {"kafka"},
    "data": {*PROCESSES, *SERVERS, "producer", "pushgateway"},
    "watch": {"alertmanager", "grafana", "postgres", "prometheus", "pushgateway"},
    "outbound": {"alertmanager"},
}
GIVEN = {
    "postgres_owner_url": {"migrate"},
    "postgres_password": {"postgres"},
    "postgres_url": PROCESSES,
    "analyst_password": {"grafana", "migrate"},
    "grafana_password": {"grafana"},
    "redis.conf": {"redis"},
    "broker.conf": {"broker"},
    "proxy_key": {"proxy"},
    "proxy_users": {"proxy"},
    "alert_webhook_url": {"alertmanager-config"},
    "alert_slack_url": {"alertmanager-config"},
    "alert_smtp_password": {"alertmanager-config"},
}


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((DOCKER / name).read_text())


COMPOSE, PUBLISHED = read("compose.yaml"), read("compose.kafka.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def by_default(text: str) -> str:
    """With the settings that nobody has made."""
    return re.sub(r"\$\{\w+:-([^{}]*)\}", r"\1", text)


def who(has: Iterable[tuple[str, bool]]) -> set[str]:
    return {name for name, wanted in has if wanted}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_nothing_and_writes_nowhere_but_to_its_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not MORE & service.keys()
    assert service.get("network_mode") in (None, "none")
    assert set(service["deploy"]["resources"]["limits"]) == {"memory", "pids"}
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_is_root(name: str) -> None:
    service = SERVICES[name]
    ours = "millrace:dev" in service["image"]
    assert service.get("user", "" if ours or name in OWN_USER else "root").split(":")[0] not in ("root", "0")
    assert re.findall(r"^USER (.*)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)[-1] == "10001:10001"


def test_a_container_is_given_files_of_this_checkout_to_read_and_nothing_else_of_the_host() -> None:
    overlay = yaml.safe_load(OVERLAY.read_text())["services"]
    mounts = [(name, each) for part in (SERVICES, overlay) for name in part for each in part[name].get("volumes", ())]
    host = [(name, each) for name, each in mounts if not isinstance(each, str) or each.startswith((".", "/", "~", "$"))]
    read_only = [each["read_only"] if isinstance(each, dict) else each.endswith(":ro") for _, each in host]
    assert len(host) >= 6
    assert all(read_only)
    sources = {each["source"] if isinstance(each, dict) else each.split(":")[0] for _, each in host}
    outside = {each for each in sources if not each.startswith(("./", "../../monitoring/"))}
    assert {each.removesuffix("/rds.pem") for each in outside} == {"/srv/millrace/outside"}


def test_all_but_the_proxy_are_published_on_loopback_unless_somebody_wishes_else() -> None:
    published = {n: s["ports"] for part in (SERVICES, PUBLISHED["services"]) for n, s in part.items() if "ports" in s}
    assert published.keys() == {*LOOPBACK, "proxy"}
    for name, variable in LOOPBACK.items():
        [port] = published[name]
        assert port.startswith(f"${{{variable}:-127.0.0.1}}:")
        assert by_default(port).startswith("127.0.0.1:")


def test_what_has_no_login_is_not_published_and_prometheus_takes_no_orders() -> None:
    for name in ("prometheus", "pushgateway", "alertmanager", "code-server", "redis", "broker", "postgres"):
        assert "ports" not in SERVICES[name]
    orders = ("--web.enable-admin-api", "--web.enable-lifecycle", "--web.enable-remote-write-receiver", "otlp")
    assert [o for o in orders if any(o in each for each in SERVICES["prometheus"]["command"])] == []


def test_each_network_holds_whom_the_docs_name_and_only_those_that_are_published_lead_out() -> None:
    changed = {**SERVICES, "kafka": {**SERVICES["kafka"], **PUBLISHED["services"]["kafka"]}}
    networks = {*COMPOSE["networks"], *PUBLISHED["networks"]}
    found = {net: who((n, net in s.get("networks", ())) for n, s in changed.items()) for net in networks}
    assert found == MEMBERS
    internal = {name: str(net.get("internal")) for name, net in COMPOSE["networks"].items()}
    inside = who((name, by_default(text).lower() == "true") for name, text in internal.items())
    assert inside == {"data", "producers", "watch"}


def test_a_secret_is_given_to_those_who_need_it_and_none_is_in_an_environment() -> None:
    for secret, needed in GIVEN.items():
        assert who((n, secret in s.get("secrets", ())) for n, s in SERVICES.items()) == needed, secret
    assert COMPOSE["secrets"].keys() == {each for s in SERVICES.values() for each in s.get("secrets", ())}
    telling = re.compile(r"PASSWORD|SECRET|TOKEN|_URL$|OPTIONS")
    for name, service in SERVICES.items():
        told = {n: v for n, v in (service.get("environment") or {}).items() if telling.search(n)}
        assert {n for n, v in told.items() if not str(v).startswith("/run/secrets/")} == set(), name


def test_the_docs_name_the_networks_that_there_are_and_send_no_producer_to_the_code_server() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    advised = re.findall(r"docker run --network (\S+)", (ROOT / "docs" / "deploy.md").read_text())
    assert advised == ["millrace_producers"]
    assert [net for net in MEMBERS if f"\n| `{net}` | " not in text] == []


def test_the_image_holds_no_tool_to_install_more_with_and_runs_nothing_of_a_package_while_it_is_built() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    installed = re.findall(r"pip [^&\n]*install ([^&\n]*)", text)
    assert len(installed) == 3
    safe = re.compile(r"--require-hashes.*--only-binary :all:|--no-deps --no-index /build/wheel")
    assert all(map(safe.search, installed))
    last = text[text.rindex("\nFROM ") :]
    assert "rm -rf /usr/local/bin/pip*" in last
    assert not re.search(r"^(ADD|RUN (apt|pip|curl|wget))", last, re.MULTILINE)
    assert not re.search(r"(?i)password|secret|token", text)


def test_kafkas_log_has_a_line_for_each_record_as_in_the_embedded_stack() -> None:
    ours = dict(re.findall(r"^([\w.]+) = (.*)$", (DOCKER / "kafka-log4j2.properties").read_text(), re.MULTILINE))
    assert ours == dict(re.findall(r"^([\w.]+) = (.*)$", kafka._LOGGING, re.MULTILINE))  # pyright: ignore[reportPrivateUsage]
    assert "/etc/kafka-log4j2.properties" in str(SERVICES["kafka"]["command"])
    assert "./kafka-log4j2.properties:/etc/kafka-log4j2.properties:ro" in SERVICES["kafka"]["volumes"]
