"""What the Dagster chart is told, as far as that can be held without the chart, which `test_schemas.py` asks for."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.manifests import FOLDER, ROOT, named, settings, values

PARTS = {"dagsterWebserver": "webserver", "dagsterDaemon": "daemon"}


@pytest.mark.parametrize(("part", "role"), PARTS.items())
def test_a_pod_of_the_chart_runs_our_command_in_place_of_the_charts(part: str, role: str, tmp_path: Path) -> None:
    (tmp_path / role).write_text(named("ConfigMap", "millrace-commands")["data"][role])
    stand_in = tmp_path / "millrace"
    stand_in.write_text('#!/bin/bash\necho "millrace $* BASH_ENV=${BASH_ENV-none}"\n')
    stand_in.chmod(0o755)
    told = {variable["name"]: variable["value"] for variable in values()[part]["env"]}
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "BASH_ENV": told["BASH_ENV"].replace("/etc/millrace", str(tmp_path)),
    }
    charts = ["/bin/bash", "-c", "echo the chart's own command"]
    done = subprocess.run(charts, env=environment, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == f"millrace {role} BASH_ENV=none\n"


@pytest.mark.parametrize("name", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_pod_of_the_chart_is_asked_what_ours_are_asked(name: str) -> None:
    port = values()["dagsterWebserver"]["service"]["port"]
    web = values()["dagsterWebserver"][name]
    assert web["httpGet"] == {"path": "/server_info", "port": port}  # the chart's kind: Helm would add another to it
    assert "exec" not in web
    assert values()["dagsterDaemon"][name]["exec"]["command"] == ["millrace", "health", "daemon"]


@pytest.mark.parametrize("part", PARTS)
def test_no_value_is_null(part: str) -> None:
    """Helm takes a null for "leave it out" only where the chart has a default; its schema refuses all others."""
    assert "null" not in json.dumps(values()[part])


def test_the_chart_names_the_launcher_of_our_instance() -> None:
    ours = yaml.safe_load((ROOT / "orchestration/dagster_runtime/dagster.yaml").read_text())["run_launcher"]
    told = values()["runLauncher"]
    assert (told["type"], told["config"]["customRunLauncher"]) == ("CustomRunLauncher", ours)


def test_the_chart_finds_our_code_server() -> None:
    server = values()["dagsterWebserver"]["workspace"]["servers"][0]
    assert server["host"] == settings()["MILLRACE_CODE_SERVER_HOST"]
    assert server["port"] == int(settings()["MILLRACE_CODE_SERVER_PORT"])


def test_the_version_of_the_chart_is_that_of_dagster_in_the_image() -> None:
    locked = re.search(r"^dagster==(\S+)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
    assert locked is not None
    for path in (FOLDER / "chart/values.yaml", FOLDER / "README.md"):
        assert f"--version {locked[1]}" in path.read_text()


def test_the_chart_starts_nothing_that_we_have_already() -> None:
    off: list[dict[str, Any]] = [
        values()[name] for name in ("postgresql", "rabbitmq", "redis", "flower", "migrate", "ingress")
    ]
    assert not any(part["enabled"] for part in off)
    assert values()["dagster-user-deployments"] == {"enabled": True, "enableSubchart": False, "deployments": []}
