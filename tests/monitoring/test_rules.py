"""Prometheus' rules: promtool holds what fires when; here that nothing is left out, and that every name is real."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, pairwise

import pytest

from monitoring.metrics.names import BOUNDS, METRICS
from monitoring.metrics.preset_counters import preset_counters
from orchestration.dagster_runtime.broker import DEFAULT_QUEUE
from tests.monitoring.rules import CASES, MONITORING, RULES, alerts, cases, equal_to, outcomes, recorded, rules, used
from tests.support import monitoring

# Metrics of Prometheus and the Pushgateway themselves, with their labels.
THEIRS = {"up": {"job"}, "push_time_seconds": {"job", "collector"}}
# What the grouping keys of pushes and the buckets of histograms add.
EVERYWHERE = {"job", "collector", "lane"}
SEVERITIES = {"critical", "warning", "info"}


def contract() -> dict[str, set[str]]:
    """Every series that can be there, with its labels."""
    found: dict[str, set[str]] = {name: {*labels, "job"} for name, labels in THEIRS.items()}
    for name, metric in METRICS.items():
        if name in BOUNDS:
            found |= {f"{name}_{part}": {*metric.labels, *EVERYWHERE} for part in ("sum", "count")}
            found[f"{name}_bucket"] = {*metric.labels, *EVERYWHERE, "le"}
        else:
            found[name] = {*metric.labels, *EVERYWHERE}
    return found


def promtool(*arguments: object) -> str:
    """What promtool complains about; empty when it succeeds."""
    command = [str(monitoring.program("promtool")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def complaints() -> dict[str, str]:
    """Promtool's, about each file of cases; two at a time, for they take seconds."""
    monitoring.require()
    paths = sorted(CASES.glob("*.yml"), key=lambda path: -path.stat().st_size)
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip([path.stem for path in paths], pool.map(partial(promtool, "test", "rules"), paths), strict=True)
        )


def test_prometheus_takes_the_rules() -> None:
    assert promtool("check", "rules", *sorted(RULES.glob("*.yml"))) == ""


@pytest.mark.parametrize("file", sorted(path.stem for path in CASES.glob("*.yml")))
def test_each_alert_fires_when_it_should_and_only_then(file: str, complaints: dict[str, str]) -> None:
    assert complaints[file] == ""


@pytest.mark.parametrize("alert", sorted(alerts()))
def test_each_alert_is_tested_to_fire_to_stay_silent_and_to_recover(alert: str) -> None:
    found = outcomes()[alert]
    assert any(any(fires) for fires in found), "fires"
    assert any(not any(fires) for fires in found), "stays silent"
    assert any(fired and not then for fires in found for fired, then in pairwise(fires)), "recovers"
    names = [case["name"] for case in cases() if case["name"].startswith(f"{alert}: ")]
    assert {"fires", "is silent"} <= {word for name in names for word in ("fires", "is silent") if word in name}


def test_each_rule_of_an_alert_is_tested_to_fire() -> None:
    tested = {
        (check["alertname"], alert["exp_labels"]["severity"], "collector" in rule["labels"])
        for case in cases()
        for check in case.get("alert_rule_test", [])
        for alert in check["exp_alerts"]
        for rule in alerts()[check["alertname"]]
        if rule["labels"].items() <= alert["exp_labels"].items()
    }
    there = {(name, r["labels"]["severity"], "collector" in r["labels"]) for name, rs in alerts().items() for r in rs}
    assert there <= tested


def test_each_recording_rule_has_a_value_in_a_test() -> None:
    valued = "\n".join(
        each["expr"] for case in cases() for each in case.get("promql_expr_test", []) if each["exp_samples"]
    )
    assert {name for name in recorded() if name not in valued} == set()


def test_rules_name_only_what_the_code_emits() -> None:
    known, ours = contract(), recorded()
    wrong = [
        f"{name}{{{label}}} in {rule['expr']}"
        for rule in rules()
        for name, matched in used(rule["expr"]).metrics
        if name not in ours
        for label in (matched if name in known else ("not in the contract",))
        if label not in known.get(name, ())
    ]
    assert wrong == []


def test_rules_group_by_labels_that_there_are() -> None:
    known = {*chain.from_iterable(contract().values()), "queue"}
    groupings = {label for rule in rules() for label in used(rule["expr"]).labels}
    matched = {label for rule in rules() for _, labels in used(rule["expr"]).metrics for label in labels}
    assert (groupings | matched) - known == set()


def test_values_that_rules_ask_for_are_values_that_are_counted() -> None:
    values: dict[tuple[str, str], set[str]] = {}
    for metric, labels in preset_counters(("page_view", "login"), ("ingest", "refresh_aggregates")):
        for label, value in zip(METRICS[metric].labels, labels, strict=False):
            values.setdefault((metric, label), set()).add(value)
    values["millrace_queue_depth", "queue"] = {DEFAULT_QUEUE}
    values["millrace_dependency_up", "dependency"] = {"kafka", "postgres", "redis", "broker"}
    asked = {each for rule in rules() for each in equal_to(rule["expr"])}
    assert {each for each in asked if each[:2] in values and each[2] not in values[each[:2]]} == set()
    assert ("millrace_events_total", "outcome", "dead_letter") in asked


def test_recorded_names_say_which_labels_they_have() -> None:
    for name in recorded():
        assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", name)
    by = {
        rule["record"]: re.findall(r"^\s*(?:sum|max) by \(([^)]*)\)", rule["expr"])
        for rule in rules()
        if "record" in rule
    }
    wrong = {
        name: labels
        for name, [*found] in by.items()
        for labels in found[:1]
        if name.partition(":")[0] != labels.replace(", ", "_")
    }
    assert wrong == {}


@pytest.mark.parametrize("alert", sorted(alerts()))
def test_each_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(alert: str) -> None:
    boards = {path.stem for path in (MONITORING / "grafana" / "dashboards").glob("*.json")}
    for rule in alerts()[alert]:
        assert rule["labels"]["severity"] in SEVERITIES
        told = rule["annotations"]
        assert set(told) == {"summary", "description", "runbook_url", "dashboard"}
        assert told["runbook_url"] == "{{ $externalLabels.runbook_base }}docs/runbook.md#" + alert.lower()
        assert told["dashboard"] in {"{{ $externalLabels.grafana_base }}/d/millrace-" + name for name in boards}
        assert told["summary"].endswith((".", "{{ end }}"))
    severities = [rule["labels"] for rule in alerts()[alert]]
    assert len({str(each) for each in severities}) == len(severities)


def test_no_expression_is_an_alias_of_yaml() -> None:
    # Prometheus would take the alias's own name for the expression, and say nothing.
    for path in RULES.glob("*.yml"):
        assert not re.search(r"expr: [*&]", path.read_text(encoding="utf-8")), path.name
