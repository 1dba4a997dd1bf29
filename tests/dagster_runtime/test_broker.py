"""What those who send runs and those who execute them agree on."""

import itertools

import pytest

from orchestration.dagster_runtime import broker, launcher, worker
from orchestration.dagster_runtime.run_evidence import WorkerAnswer
from orchestration.dagster_runtime.run_tracker import RunTracker, TrackedRun, answers_of


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("rediss://host:6379/0", "rediss://host:6379/0?ssl_cert_reqs=required"),
        ("rediss://host/0?a=b", "rediss://host/0?a=b&ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=none", "rediss://host/0?ssl_cert_reqs=none"),
    ],
)
def test_tls_checks_the_certificate_unless_told_otherwise(given: str, used: str) -> None:
    assert broker.options(given)["broker_url"] == used


def test_nothing_is_read_or_opened_when_the_worker_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_POSTGRES_URL", "postgresql://localhost/x")
    monkeypatch.setenv("MILLRACE_REDIS_URL", "redis://localhost")
    monkeypatch.setenv("MILLRACE_KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("MILLRACE_BROKER_URL", "redis://the-broker:1234/5")
    assert worker.app.conf.broker_url == "redis://the-broker:1234/5"
    assert worker.app.conf.task_default_queue == "default"


def test_the_worker_knows_the_tasks_that_are_sent() -> None:
    assert {launcher.EXECUTE, launcher.SETTLE} <= set(worker.app.tasks)


def test_a_broker_that_cannot_be_asked_makes_no_run_lost() -> None:
    moments = itertools.count(0, 20)
    run_tracker = RunTracker(broker.client("redis://127.0.0.1:1/0"), clock=lambda: float(next(moments)))
    runs = [
        TrackedRun("sent", "STARTING", "default", begun=False),
        TrackedRun("begun", "STARTED", "default", begun=True),
    ]
    for _ in range(5):
        run_tracker.watch(runs)
        run_tracker.look()
    assert not run_tracker.is_lost("sent")
    assert not run_tracker.is_lost("begun")


def test_answers_that_are_errors_are_left_out_of_the_picture() -> None:
    nodes = [{"a": {"error": "no such command"}}, {"b": {"queues": ["ingest"], "runs": ["1", "2"]}}]
    assert answers_of(nodes) == [WorkerAnswer("b", frozenset({"ingest"}), frozenset({"1", "2"}))]
