"""The dashboards as a program of the stack: Grafana where there is one, else our own pages, and neither knows more."""

import importlib.util
import os
from pathlib import Path

import pytest

from infra.local.state import Program, StackState
from orchestration.cli import dashboard_program, programs, stack_view
from orchestration.cli.dashboard_program import service

PORTS = {"postgres": 5433, "webserver": 3000, "dashboard": 3001}
SETTINGS = {
    "MILLRACE_POSTGRES_URL": "postgresql://owner:0wner@127.0.0.1:5433/millrace",
    "MILLRACE_REDIS_URL": "redis://127.0.0.1:6390/0",
    "MILLRACE_ANALYST_URL": "postgresql://millrace_analyst:analyst-s3cret@127.0.0.1:5433/millrace",
    "MILLRACE_ANALYST_PASSWORD": "analyst-s3cret",
    "MILLRACE_PROMETHEUS_URL": "http://127.0.0.1:9090",
    "MILLRACE_ALERTMANAGER_URL": "http://127.0.0.1:9093",
    "MILLRACE_DATA_DIR": "/data",
}


def _nothing(_name: str) -> None:
    return None


@pytest.fixture
def grafana(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `grafana-server` on the PATH, unpacked as Grafana's archive has it."""
    home = tmp_path / "grafana-12"
    (home / "public").mkdir(parents=True)
    (home / "bin").mkdir()
    program = home / "bin" / "grafana-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return home


def test_our_own_pages_know_how_to_reach_what_they_read_and_nothing_else(tmp_path: Path) -> None:
    made = service(tmp_path, PORTS, SETTINGS)
    told = {**SETTINGS, **made.environment}
    left = {name for name, value in told.items() if value and name.startswith("MILLRACE_")}
    assert left == {"MILLRACE_ANALYST_URL", "MILLRACE_PROMETHEUS_URL", "MILLRACE_DATA_DIR"}
    assert made.command[-5:] == ("dashboard", "--port", "3001", "--dagster", "http://127.0.0.1:3000")


def test_a_grafana_on_the_path_is_used_instead_with_our_dashboards_on_loopback(tmp_path: Path, grafana: Path) -> None:
    made = service(tmp_path, PORTS, SETTINGS)
    told = {**SETTINGS, **made.environment}
    assert made.command == (str(grafana / "bin" / "grafana-server"), "--homepath", str(grafana))
    assert (told["GF_SERVER_HTTP_ADDR"], told["GF_SERVER_HTTP_PORT"]) == ("127.0.0.1", "3001")
    provisioning, boards = Path(told["GF_PATHS_PROVISIONING"]), Path(told["MILLRACE_DASHBOARDS"])
    assert (provisioning / "datasources" / "millrace.yml").is_file()
    assert (boards / "pipeline.json").is_file()
    assert told["MILLRACE_ANALYST_HOST"] == "127.0.0.1:5433"
    assert told["MILLRACE_ANALYST_PASSWORD"] == "analyst-s3cret"
    assert told["MILLRACE_POSTGRES_URL"] == ""
    assert told["GF_PATHS_DATA"].startswith(str(tmp_path)), "nothing is written outside of the data directory"


def test_grafana_is_told_everything_that_its_provisioning_takes_from_the_environment(
    tmp_path: Path, grafana: Path
) -> None:
    told = {**SETTINGS, **service(tmp_path, PORTS, SETTINGS).environment}
    defaults = (dashboard_program.FILES / "defaults.env").read_text().splitlines()
    names = {line.partition("=")[0] for line in defaults if line and not line.startswith("#")}
    assert {name for name in names if not told.get(name)} == {"MILLRACE_ANALYST_SSLROOTCERT"}, "read with TLS alone"


@pytest.mark.parametrize("with_grafana", [False, True])
def test_no_secret_gets_into_the_supervisors_file(
    tmp_path: Path, with_grafana: bool, request: pytest.FixtureRequest
) -> None:
    if with_grafana:
        request.getfixturevalue("grafana")
    made = service(tmp_path, PORTS, SETTINGS)
    written = [*made.command, *made.environment.values()]
    assert [each for each in written if "s3cret" in each or "0wner" in each] == []


def test_without_either_the_stack_starts_without_dashboards_and_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(importlib.util, "find_spec", _nothing)
    assert "dashboard" not in programs.application().ports
    pages = stack_view.pages(StackState({"webserver": 3000}, (Program("webserver", 3000, 2, 30),)))
    assert "pip install 'millrace[dashboard]'" in pages["dashboards"]
    assert pages["Dagster"] == "http://127.0.0.1:3000"


def test_where_the_pages_are_is_what_up_and_status_say_first() -> None:
    known = StackState(PORTS, (Program("webserver", 3000, 2, 30), Program("dashboard", 3001, 2, 20)))
    assert next(iter(stack_view.pages(known).items())) == ("dashboards", "http://127.0.0.1:3001")
