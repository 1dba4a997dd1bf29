"""Alertmanager's routes and inhibition: who is told, and what is not told beside its cause."""

import json
import re
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.monitoring.notified import CONFIG, Labels, alertmanager, config, until
from tests.monitoring.rules import alerts, seconds
from tests.support import monitoring


def amtool(*arguments: object) -> str:
    """What amtool answers; it has to succeed."""
    command = [str(monitoring.program("amtool")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def silenced() -> set[tuple[str, str]]:
    """Which alert silences which, by their names; without the rules that are about severity."""
    found: set[tuple[str, str]] = set()
    for rule in config()["inhibit_rules"]:
        if any("alertname" in matcher for matcher in rule["source_matchers"]):
            sources, targets = (_named(rule[f"{end}_matchers"]) for end in ("source", "target"))
            found |= {(source, target) for source in sources for target in targets}
    return found


def _named(matchers: list[str]) -> set[str]:
    """The alerts that the matchers on `alertname` leave."""
    left = set(alerts())
    for matcher in matchers:
        if found := re.fullmatch(r'alertname(=~|!=|=)"(.+)"', matcher.strip()):
            equal = {name for name in left if re.fullmatch(found[2], name)}
            left = left - equal if found[1] == "!=" else equal
    return left


def alert(name: str, severity: str = "warning", **labels: str) -> Labels:
    """An alert as Prometheus sends it."""
    assert severity in {rule["labels"]["severity"] for rule in alerts()[name]}
    return {"alertname": name, "severity": severity, **labels}


def texts(found: list[Labels]) -> list[str]:
    """Comparable."""
    return sorted(json.dumps(each, sort_keys=True) for each in found)


def test_alertmanager_takes_the_configuration() -> None:
    assert "SUCCESS" in amtool("check-config", CONFIG)


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_every_severity_reaches_the_receiver_that_settings_fill_in(severity: str) -> None:
    routed = amtool("config", "routes", "test", f"--config.file={CONFIG}", f"severity={severity}", "alertname=X")
    assert routed == "default"


def test_the_worse_it_is_the_sooner_and_the_more_often_it_is_told() -> None:
    routes = {re.findall(r'"(\w+)"', route["matchers"][0])[0]: route for route in config()["route"]["routes"]}
    assert list(routes) == ["critical", "warning", "info"]
    for wait in ("group_wait", "group_interval", "repeat_interval"):
        waits = [seconds(route[wait]) for route in routes.values()]
        assert waits == sorted(waits)
    assert seconds(routes["critical"]["group_wait"]) <= 10


def test_no_two_alerts_silence_each_other() -> None:
    # Both would be told to nobody. Not even round a corner.
    silences = silenced()
    failpoint = set(silences)
    while more := {(a, d) for a, b in failpoint for c, d in silences if b == c} - failpoint:
        failpoint |= more
    assert {(a, b) for a, b in failpoint if a == b} == set()
    assert ("MillraceKafkaDown", "MillraceLagSeconds") in silences


def test_inhibition_names_only_alerts_that_there_are() -> None:
    assert set(re.findall(r"Millrace[A-Z]\w+", CONFIG.read_text(encoding="utf-8"))) <= set(alerts())


def test_what_wakes_somebody_is_silenced_only_by_what_wakes_somebody() -> None:
    critical = {name for name, rules in alerts().items() if any(r["labels"]["severity"] == "critical" for r in rules)}
    assert {a for a, b in silenced() if b in critical} <= critical


# What is told, and what is not told beside it.
CAUSES: dict[str, tuple[list[Labels], list[Labels]]] = {
    "Kafka is down": (
        [alert("MillraceKafkaDown", "critical", dependency="kafka")],
        [
            alert("MillraceNotCommitting", "critical"),
            alert("MillraceLagSeconds", "critical"),
            alert("MillracePartitionUnreadable", "critical", topic="user-events", partition="0"),
            alert("MillraceTrafficDrop"),
            alert("MillraceMetricsStale", collector="lag"),
            alert("MillraceRunFailures", run_job="ingest", cause="KafkaUnavailable"),
        ],
    ),
    "PostgreSQL is down, and Redis, and the disk is full": (
        [
            alert("MillracePostgresDown", "critical", dependency="postgres"),
            alert("MillraceRedisDown", dependency="redis"),
            alert("MillraceDiskGrowth", "critical"),
        ],
        [
            alert("MillraceNotCommitting", "critical"),
            alert("MillraceLagSeconds"),
            alert("MillraceAggregatesStale", table="analytics.sessions"),
            alert("MillraceRunFailures", run_job="ingest", cause="StorageFailed: connection"),
            alert("MillraceMetricsStale", "critical", collector="totals"),
            alert("MillraceDedupDegraded"),
            alert("MillraceDiskGrowth"),
        ],
    ),
    "the Pushgateway is down": (
        [alert("MillracePushgatewayDown", dependency="pushgateway")],
        [
            alert("MillraceMetricsStale", "critical", collector="health"),
            alert("MillraceGapRecorded", "critical", reason="expired"),
            alert("MillraceBruteForce", "info", kind="burst"),
        ],
    ),
    "several things that have nothing to do with one another": (
        [
            alert("MillraceNotCommitting", "critical"),
            alert("MillraceDeadLetterStorm", code="not_json"),
            alert("MillraceBruteForce", kind="burst"),
            alert("MillraceTrafficSurge", "info"),
            alert("MillraceMetricsStale", collector="storage"),
            alert("MillraceQueueStuck", queue="default"),
        ],
        [
            alert("MillraceLagSeconds"),
            alert("MillraceErrorRatio"),
            alert("MillraceBruteForce", "info", kind="burst"),
            alert("MillraceQueueStuck", queue="ingest"),
        ],
    ),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is told of each cause, by an Alertmanager for each; all at once, for most of it is waiting."""
    with ExitStack() as running:
        each = {cause: running.enter_context(alertmanager(tmp_path_factory.mktemp("cause"))) for cause in CAUSES}
        for cause, notified in each.items():
            told, beside = CAUSES[cause]
            notified.post([*beside, *told])
        for cause, notified in each.items():
            until(lambda notified=notified, cause=cause: len(notified.told()) >= len(CAUSES[cause][0]))
        time.sleep(1.5)
        return {cause: notified.told() for cause, notified in each.items()}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_told_and_what_follows_from_it_is_not(cause: str, answers: dict[str, list[str]]) -> None:
    assert answers[cause] == texts(CAUSES[cause][0])


def test_that_the_cause_is_mended_is_told_and_then_what_is_left(tmp_path: Path) -> None:
    kafka, lag = alert("MillraceKafkaDown", "critical", dependency="kafka"), alert("MillraceLagSeconds")
    with alertmanager(tmp_path) as notified:
        notified.post([kafka, lag])
        until(lambda: notified.told() == texts([kafka]))
        notified.post([kafka], ended=True)
        until(lambda: notified.told("resolved") == texts([kafka]))
        until(lambda: notified.told() == texts([kafka, lag]))


def test_one_cause_is_one_notification(tmp_path: Path) -> None:
    tables = [alert("MillraceAggregatesStale", table=name) for name in ("a", "b", "c")]
    failures = [alert("MillraceRunFailures", run_job="ingest", cause=name) for name in ("x", "y")]
    with alertmanager(tmp_path) as notified:
        notified.post([*tables, *failures])
        until(lambda: len(notified.told()) == len([*tables, *failures]))
        assert sorted(len(each["firing"]) for each in notified.notifications) == [1, 1, 3]
