import json
import subprocess
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import yaml

from infra.local import embedded, files, monitoring, state
from infra.local.harness import Running, running
from orchestration.cli import programs
from tests.local.test_stack import eventually
from tests.support.monitoring import program, require


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """The three, without anything else."""
    require()
    with running(tmp_path_factory.mktemp("a watch"), embedded.OPTIONAL) as started:
        yield started


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return json.load(answer)["data"]


def query(watch: Running, expression: str) -> dict[str, float]:
    """The values of a query by job."""
    found = ask(f"{watch.environment['MILLRACE_PROMETHEUS_URL']}/api/v1/query?query={quote(expression)}")
    return {each["metric"]["job"]: float(each["value"][1]) for each in found["result"]}


def test_what_is_pushed_is_scraped_with_its_own_labels(watch: Running) -> None:
    url = f"{watch.environment['MILLRACE_PUSHGATEWAY_URL']}/metrics/job/millrace/collector/totals"
    request = urllib.request.Request(url, b"millrace_something_total 42\n", method="PUT")  # noqa: S310
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    eventually(lambda: query(watch, 'millrace_something_total{collector="totals"}') == {"millrace": 42})
    eventually(lambda: query(watch, "up") == {"pushgateway": 1, "prometheus": 1, "alertmanager": 1})


def test_prometheus_knows_the_rules_and_where_to_send_alerts(watch: Running) -> None:
    prometheus, alertmanager = (watch.environment[f"MILLRACE_{n}_URL"] for n in ("PROMETHEUS", "ALERTMANAGER"))

    def known() -> list[str]:
        return [each["url"] for each in ask(f"{prometheus}/api/v1/alertmanagers")["activeAlertmanagers"]]

    # It is ready before it has looked for Alertmanagers, which it does every five seconds.
    eventually(lambda: known() == [f"{alertmanager}/api/v2/alerts"])
    eventually(lambda: _healthy(ask(f"{prometheus}/api/v1/rules")["groups"]))


def _healthy(groups: list[dict[str, Any]]) -> bool:
    rules = [rule for group in groups for rule in group["rules"]]
    return bool(rules) and {rule["health"] for rule in rules} == {"ok"}


def test_alerts_have_a_page(watch: Running) -> None:
    for name in embedded.OPTIONAL:
        with urllib.request.urlopen(watch.environment[f"MILLRACE_{name.upper()}_URL"], timeout=10) as page:  # noqa: S310
            assert b"<html" in page.read()


def test_they_listen_on_this_machine_only_each_on_one_port(watch: Running) -> None:
    for name, service in watch.services.items():
        listening = [c.laddr for c in psutil.Process(watch.pid(name)).net_connections() if c.status == "LISTEN"]
        assert [tuple(address) for address in listening] == [("127.0.0.1", service.port)]


def test_prometheus_starts_again_on_its_data_after_it_was_killed(watch: Running) -> None:
    watch.kill("prometheus")
    watch.start("prometheus")
    eventually(lambda: query(watch, "up")["prometheus"] == 1)


def test_prometheus_accepts_the_configuration_as_it_stands_and_as_the_stack_renders_it(tmp_path: Path) -> None:
    source = monitoring.FOLDER
    monitoring.prepare("prometheus", tmp_path / "a prometheus", {"prometheus": 1, "pushgateway": 2, "webserver": 3})
    promtool = program("promtool")
    for path in (source / "prometheus" / "prometheus.yml", tmp_path / "a prometheus" / "prometheus.yml"):
        answer = subprocess.run((promtool, "check", "config", path), capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "rule files found" in answer.stdout
    found = yaml.safe_load(path.read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in found["scrape_configs"]}
    assert targets == {"pushgateway": ["127.0.0.1:2"], "prometheus": ["127.0.0.1:1"]}


def test_a_pushgateway_of_the_callers_own_wins_and_that_of_a_stack_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.save(tmp_path, state.StackState(ports={"pushgateway": 20_001}))
    monkeypatch.setenv("MILLRACE_DATA_DIR", str(tmp_path))  # as after `eval "$(millrace env)"`
    monkeypatch.setenv("MILLRACE_PUSHGATEWAY_URL", "http://127.0.0.1:20001")
    assert programs.application().metrics_off == ""
    monkeypatch.setenv("MILLRACE_PUSHGATEWAY_URL", "http://pushgateway.example.org:9091")
    application = programs.application()
    assert "names your own" in application.metrics_off
    files.secret(tmp_path / "postgres" / "password")
    found = application.environment(tmp_path, {"code-server": 1, "postgres": 2})
    assert found["MILLRACE_PUSHGATEWAY_URL"] == "http://pushgateway.example.org:9091"
    assert int(found["MILLRACE_POSTGRES_CAPACITY_BYTES"]) > 0
