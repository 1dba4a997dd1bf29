"""The dashboards are what the code writes, and what Grafana can read; and names mean the same everywhere."""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard, units

from monitoring.grafana.boards import documents
from monitoring.metrics.names import BOUNDS, METRICS
from tests.monitoring.grafana_queries import BOARDS, FOLDER, ROOT, panels, targets

# Panel types of Grafana 11 and 12 (graph, singlestat, table-old, ... are gone).
TYPES = {"stat", "timeseries", "bargauge", "heatmap", "state-timeline", "table", "alertlist"}
# Names that are not Millrace's own: Prometheus', the Pushgateway's.
FOREIGN = {"ALERTS", "up", "push_time_seconds"}
every_board = pytest.mark.parametrize("name", sorted(BOARDS))


def test_the_checked_in_dashboards_are_what_the_code_writes() -> None:
    written = {name: json.loads(text) for name, text in documents().items()}
    assert {f"{name}.json": board for name, board in BOARDS.items()} == written, "run: make dashboards"


@every_board
def test_a_dashboard_is_what_the_sdk_for_grafana_11_reads(name: str) -> None:
    register_default_plugins()
    read = dashboard.Dashboard.from_json(json.loads(json.dumps(BOARDS[name])))
    again = json.loads(json.dumps(read, cls=JSONEncoder))
    lost = set(_paths(BOARDS[name])) - set(_paths(again))
    # Prometheus' annotations have texts that the SDK does not know.
    assert {path for path in lost if not path.startswith("annotations.")} == set()


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """Where which value is, for every leaf."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _paths(inner, f"{path}[{at}]")
    else:
        yield f"{path}={value}"


@every_board
def test_panels_fill_the_grid_without_gaps_and_overlaps(name: str) -> None:
    taken: Counter[tuple[int, int]] = Counter()
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        taken.update((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"]))
    height = max(y for _, y in taken) + 1
    assert set(taken) == {(x, y) for x in range(24) for y in range(height)}
    assert set(taken.values()) == {1}


@every_board
def test_every_panel_says_what_it_shows(name: str) -> None:
    known = {value for key, value in vars(units).items() if isinstance(value, str) and not key.startswith("_")}
    titles = [panel["title"] for panel in panels(BOARDS[name])]
    assert [title for title, times in Counter(titles).items() if times > 1] == []
    for panel in panels(BOARDS[name]):
        assert panel["type"] in TYPES, panel["title"]
        assert len(panel["description"]) > 15, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in known, panel["title"]
        if panel["type"] not in ("alertlist", "heatmap"):  # they colour by themselves
            assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"]


def test_ids_are_unique() -> None:
    assert {board["uid"] for board in BOARDS.values()} == {"millrace-pipeline", "millrace-product", "millrace-security"}
    for board in BOARDS.values():
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(numbers) == len(set(numbers))
        for panel in panels(board):
            letters = [target["refId"] for target in panel.get("targets", [])]
            assert len(letters) == len(set(letters)), panel["title"]


def test_dashboards_ask_only_datasources_that_are_provisioned() -> None:
    provisioned = {(each["type"], each["uid"]) for each in _datasources()}
    own = {("datasource", "grafana")}
    asked = {(found["type"], found["uid"]) for board in BOARDS.values() for found in _sources(board)}
    assert asked <= provisioned | own
    assert {("prometheus", "prometheus"), ("grafana-postgresql-datasource", "postgres")} <= asked


def test_grafana_checks_the_databases_certificate_wherever_the_connection_is_encrypted() -> None:
    """`require` takes anybody's certificate, and hands the analysts' password to whoever shows one."""
    [database] = [each["jsonData"] for each in _datasources() if each["type"] == "grafana-postgresql-datasource"]
    assert database["sslmode"] == "$MILLRACE_ANALYST_SSLMODE"
    assert (database["tlsConfigurationMethod"], database["sslRootCertFile"]) == (
        "file-path",
        "$MILLRACE_ANALYST_SSLROOTCERT",
    )
    root = ROOT
    grafana = yaml.safe_load((root / "infra/docker/compose.yaml").read_text())["services"]["grafana"]
    assert grafana["environment"]["MILLRACE_ANALYST_SSLROOTCERT"].endswith(":-/run/secrets/ca.pem}")
    assert "ca.pem" in grafana["secrets"]
    said = re.compile(r"ssl_?mode\W{1,4}(require|prefer|allow|verify-ca)\b", re.IGNORECASE)
    places = [p for folder in ("infra", "monitoring", "docs") for p in (root / folder).rglob("*")]
    texts = {
        p: p.read_text(errors="replace") for p in places if p.is_file() and p.suffix != ".pyc" and "adr" not in p.parts
    }
    assert [str(p.relative_to(root)) for p, text in texts.items() if said.search(text)] == []


def test_grafana_admits_nobody_without_a_login_and_tells_nothing_elsewhere() -> None:
    said = yaml.safe_load((ROOT / "infra/docker/compose.yaml").read_text())["services"]["grafana"]["environment"]
    off = ("USERS_ALLOW_SIGN_UP", "AUTH_ANONYMOUS_ENABLED", "SECURITY_ALLOW_EMBEDDING", "PUBLIC_DASHBOARDS_ENABLED")
    off += ("SNAPSHOTS_EXTERNAL_ENABLED", "ANALYTICS_REPORTING_ENABLED", "ANALYTICS_CHECK_FOR_UPDATES")
    assert {said[f"GF_{name}"] for name in off} == {"false"}
    assert said["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_password"
    defaults = (ROOT / "monitoring/grafana/defaults.env").read_text()
    assert not re.search(r"^GF_|PASSWORD=", defaults, re.MULTILINE)


@pytest.mark.parametrize(
    ("mode", "authority", "used"),
    [
        ("disable", "", "disable"),
        ("verify-full", "one", "verify-full"),
        ("require", "one", "verify-full"),
        ("prefer", "", "verify-full"),
        ("", "", "verify-full"),
    ],
)
def test_grafana_is_started_with_a_check_of_the_certificate_whatever_an_old_env_says(
    mode: str, authority: str, used: str, tmp_path: Path
) -> None:
    grafana = yaml.safe_load((ROOT / "infra/docker/compose.yaml").read_text())["services"]["grafana"]
    own, public = tmp_path / "ca.pem", "/etc/ssl/certs/ca-certificates.crt"
    own.write_text(authority)
    (tmp_path / "analyst_password").write_text("p4ss")
    script = grafana["entrypoint"][-1].replace("$$", "$").replace("/run/secrets", str(tmp_path))
    environment = {
        "PATH": os.environ["PATH"],
        "MILLRACE_ANALYST_SSLMODE": mode,
        "MILLRACE_ANALYST_SSLROOTCERT": str(own),
    }
    command = ["sh", "-ec", script.replace("/run.sh", "env")]
    started = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in started.stdout.splitlines())
    assert found["MILLRACE_ANALYST_SSLMODE"] == used
    assert found["MILLRACE_ANALYST_SSLROOTCERT"] == (str(own) if authority else public)
    assert found["MILLRACE_ANALYST_PASSWORD"] == "p4ss"
    assert ("takes anybody's certificate" in started.stderr) == (mode != used)


def _datasources() -> list[dict[str, Any]]:
    text = (FOLDER / "provisioning" / "datasources" / "millrace.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["datasources"]


def _sources(value: Any) -> Iterator[dict[str, str]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if key == "datasource" and isinstance(inner, dict):
            yield inner
        elif isinstance(inner, dict | list):
            yield from _sources(inner)


def test_what_provisioning_takes_from_the_environment_has_a_default_but_the_password() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("provisioning/*/*.yml")))
    used = set(re.findall(r"(?m)^[^#]*?: \$(\w+)$", text))
    lines = (FOLDER / "defaults.env").read_text(encoding="utf-8").splitlines()
    defaults = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    assert used - defaults == {"MILLRACE_ANALYST_PASSWORD"}
    assert defaults <= used
    assert "${" not in re.sub("(?m)^ *#.*$", "", text), "a password with a $ in it would be lost"


def test_grafana_asks_as_the_analyst_and_scrapes_are_as_often_as_it_believes() -> None:
    by_uid = {each["uid"]: each for each in _datasources()}
    assert set(by_uid["postgres"]["secureJsonData"]) == {"password"}
    settings = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert by_uid["prometheus"]["jsonData"]["timeInterval"] == settings["global"]["scrape_interval"]
    [alerts] = [each for each in panels(BOARDS["pipeline"]) if each["type"] == "alertlist"]
    assert alerts["options"]["datasource"] == by_uid["prometheus"]["name"]


def _rules() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "monitoring" / "prometheus" / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def _named(expr: str) -> set[str]:
    """The metrics that an expression names, its histograms' parts as the histogram."""
    bare = re.sub(
        r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(by|on|ignoring|without|group_left|group_right) ?\([^)]*\)', " ", expr
    )
    found: set[str] = set(re.findall(r"\b(?:millrace|push)_\w+|\b[a-z_]+:[\w:]+|\b(?:up|ALERTS)\b", bare))
    whole: dict[str, str] = {f"{name}{part}": name for name in BOUNDS for part in ("_bucket", "_sum", "_count")}
    return {whole.get(name, name) for name in found}


def test_every_metric_that_a_dashboard_or_a_rule_names_is_emitted_or_recorded() -> None:
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    asked = {title: _named(target["expr"]) for _, title, _, target in targets("prometheus")}
    asked |= {rule.get("alert", rule.get("record")): _named(rule["expr"]) for rule in _rules()}
    unknown = {title: names - set(METRICS) - recorded - FOREIGN for title, names in asked.items()}
    assert {title: names for title, names in unknown.items() if names} == {}


def test_every_metric_that_is_emitted_is_looked_at() -> None:
    expressions = [target["expr"] for _, _, _, target in targets("prometheus")]
    named = set().union(*map(_named, (*expressions, *(rule["expr"] for rule in _rules()))))
    assert set(METRICS) - named == set()


def test_a_panel_leads_to_a_section_of_the_runbook_that_there_is() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    sections = {heading.strip().strip("`").lower() for heading in re.findall(r"(?m)^#+ (.*)$", text)}
    linked = set(re.findall(r"\$\{runbook:raw\}#(\w+)", json.dumps(BOARDS)))
    assert len(linked) > 10
    assert linked - sections == set()
