"""`dg` knows the project: it lists the definitions and checks them, as for every Dagster project."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.orchestration.test_definitions_assets import CONTRACT, SETTINGS

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Settings that lead nowhere; `dg` writes to a home of its own and tells nobody."""
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    own = {"HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path), "VIRTUAL_ENV": str(BIN.parent)}
    return {"PATH": f"{BIN}:{os.environ['PATH']}", **own, **SETTINGS}


def dg(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [str(BIN / "dg"), *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dg_lists_assets_jobs_sensors_schedules_and_resources(environment: dict[str, str]) -> None:
    said = dg(environment, "list", "defs", "--json")
    found = json.loads(said[said.index("{") :])
    assert {f"analytics/{table}" for table in CONTRACT} <= {each["asset_key"] for each in found["assets"]}
    names = {kind: {each["name"] for each in found[kind]} for kind in ("jobs", "sensors", "schedules", "resources")}
    assert "refresh_aggregates" in names["jobs"]
    assert "kafka_offsets" in names["sensors"]
    assert "close_hours" in names["schedules"]
    assert "worker" in names["resources"]


def test_dg_checks_the_definitions(environment: dict[str, str]) -> None:
    dg(environment, "check", "defs")
