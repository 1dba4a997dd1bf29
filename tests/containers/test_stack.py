"""The Compose stack from nothing: it comes up, events become rows, the books add up, and it is as closed as is said."""

import re

import pytest
import yaml

from tests.containers.stack import COMPOSE, Stack, docker, image, require_engine, until

pytestmark = pytest.mark.containers

MILLRACE = ("webserver", "code-server", "daemon", "worker-ingest", "worker-aggregates", "worker-default")
CORE = {"kafka", "postgres", "redis", "broker", *MILLRACE}
MONITORING = {"pushgateway", "prometheus", "alertmanager"}
OPTIONAL = {"grafana"}  # its image is not to be had everywhere


def test_the_image_is_small_unprivileged_labelled_and_holds_no_tools() -> None:
    require_engine()
    found = yaml.safe_load(docker("image", "inspect", image()))[0]["Config"]
    assert found["User"] == "10001:10001"
    assert found["StopSignal"] == "SIGTERM"
    assert found["Labels"]["org.opencontainers.image.title"] == "Millrace"
    tools = "for each in pip pip3 gcc cc make curl wget git; do command -v $each; done; python -m pip --version; true"
    assert docker("run", "--rm", "--entrypoint", "sh", image(), "-c", tools) == ""
    certificates = docker("run", "--rm", "--entrypoint", "sh", image(), "-c", 'test -s "$SSL_CERT_FILE" && echo there')
    assert certificates == "there\n"
    own = docker("run", "--rm", "--entrypoint", "du", image(), "-sm", "/opt/millrace")
    assert int(own.split()[0]) < 450


def test_the_libraries_in_the_image_are_the_tested_ones() -> None:
    require_engine()
    code = "from importlib.metadata import distributions as d; [print(x.name, x.version) for x in d()]"
    listed = docker("run", "--rm", "--entrypoint", "python", image(), "-c", code).splitlines()
    text = (COMPOSE.parents[2] / "requirements" / "runtime.txt").read_text()
    locked = {(_plain(name), version) for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}
    found = {(_plain(name), version) for name, version in (line.split() for line in listed)}
    assert {each for each in found - locked if each[0] != "millrace"} == set()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_everything_comes_up_healthy_from_nothing(running: Stack) -> None:
    found = running.containers()
    assert set(found) - OPTIONAL == CORE | MONITORING
    assert {name: each["State"]["Health"]["Status"] for name, each in found.items()} == dict.fromkeys(found, "healthy")


def test_events_become_rows_and_the_books_add_up(running: Stack) -> None:
    read, [stored] = running.records(), running.query("select count(*) from raw.events")
    sent = running.produce("--count", "5000", "--rate", "2500", "--duplicates", "0.02", "--invalid", "0.01")
    running.reconcile()
    assert running.records() - read == sent["acknowledged"]
    [after] = running.query("select count(*) from raw.events")
    assert 4_000 < int(after) - int(stored) < 5_000
    assert running.query("select count(*) > 0 from raw.dead_letters") == ["t"]
    assert running.query("select sum(events) > 0 from analytics.events_minutely") == ["t"]


def test_nobody_is_root_and_nobody_can_write_to_his_image(running: Stack) -> None:
    for service, container in running.containers().items():
        status = running.execute(service, "cat", "/proc/1/status")
        assert re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE)[1] != "0", service  # pyright: ignore[reportOptionalSubscript]
        assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE), service
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE), service
        assert container["HostConfig"]["ReadonlyRootfs"], service
        assert container["HostConfig"]["Memory"] > 0, service
        tried = "touch /usr/bin/new 2>&1 || true"
        assert "Read-only" in running.execute(service, "sh", "-c", tried), service


def test_what_is_published_is_the_web_server_and_grafana_on_loopback_and_nothing_else(running: Stack) -> None:
    published = {
        (service, inside, binding["HostIp"])
        for service, container in running.containers().items()
        for inside, bindings in (container["HostConfig"]["PortBindings"] or {}).items()
        for binding in bindings
    }
    assert published - {("grafana", "3000/tcp", "127.0.0.1")} == {("webserver", "3000/tcp", "127.0.0.1")}
    text = COMPOSE.read_text()
    assert "${MILLRACE_WEB_PORT:-3000}" in text
    assert "${MILLRACE_GRAFANA_PORT:-3001}" in text


def test_kafka_postgres_and_redis_are_in_a_network_without_a_way_out(running: Stack) -> None:
    for service in ("kafka", "postgres", "redis", "broker", "worker-ingest", "prometheus"):
        networks = running.containers()[service]["NetworkSettings"]["Networks"]
        assert networks
        for name in networks:
            assert docker("network", "inspect", "--format", "{{.Internal}}", name).strip() == "true", (service, name)


def test_no_secret_is_in_an_environment_or_a_command_line(running: Stack) -> None:
    secrets = [path.read_text().strip() for path in (running.directory / "secrets").iterdir()]
    passwords = {word for text in secrets for word in re.findall(r"[0-9a-f]{48}", text)}
    assert len(passwords) >= 5
    found = running.containers()
    assert not [password for password in passwords if password in str(found)]
    # These two images put what they read from files into the environment of their own process.
    for service in set(found) - {"postgres", "grafana"}:
        everything = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || true"
        shown = running.execute(service, "sh", "-c", everything)
        assert not [password for password in passwords if password in shown], service


def test_redis_may_forget_claims_and_never_runs_and_lets_nobody_in_without_a_password(running: Stack) -> None:
    for service, policy in (("redis", "volatile-ttl"), ("broker", "noeviction")):
        ask = "REDISCLI_AUTH=$(sed -n 's/^requirepass //p' /run/secrets/*.conf) redis-cli config get maxmemory-policy"
        assert policy in running.execute(service, "sh", "-c", ask)
        assert "NOAUTH" in running.execute(service, "redis-cli", "ping")


def test_prometheus_sees_millrace(running: Stack) -> None:
    query = ("promtool", "query", "instant", "http://127.0.0.1:9090", 'count({__name__=~"millrace_.+"}) > 0')
    assert "=>" in running.execute("prometheus", *query)


@pytest.mark.parametrize("service", MILLRACE)
def test_sigterm_ends_a_role_in_time_and_in_order(running: Stack, service: str) -> None:
    container = running.containers()[service]["Id"]
    running.compose("stop", service)
    state = yaml.safe_load(docker("inspect", container))[0]["State"]
    running.compose("start", service)
    assert state["ExitCode"] in (0, 143)  # 137 is a kill
    assert not state["OOMKilled"]


def test_a_worker_that_is_told_to_stop_commits_what_it_has_and_nothing_is_left_started(running: Stack) -> None:
    running.produce("--count", "60000", "--fast")
    running.compose("stop", "worker-ingest")
    under_way = "pipeline_name = 'ingest' and status in ('STARTED', 'CANCELING')"
    assert running.query(f"select pipeline_name, status from dagster.runs where {under_way}") == []
    assert running.query("select count(*) > 0 from dagster.runs where pipeline_name = 'ingest'") == ["t"]
    running.compose("start", "worker-ingest")
    running.reconcile()


def test_two_ingest_workers_share_the_load(running: Stack) -> None:
    running.up("--no-recreate", "--scale", "worker-ingest=2")
    running.produce("--duration", "15s", "--rate", "2000")
    running.reconcile()
    at_work = "select count(distinct client_addr) from pg_stat_activity where application_name = 'millrace-ingest'"
    assert running.query(at_work) == ["2"]


def test_simulated_traffic_starts_and_stops_as_documented(running: Stack) -> None:
    before = running.records()
    running.compose("--profile", "demo", "up", "--detach", "producer")
    until(lambda: running.records() > before + 500, "events flow", 60)
    running.compose("--profile", "demo", "stop", "producer")
    running.reconcile()
