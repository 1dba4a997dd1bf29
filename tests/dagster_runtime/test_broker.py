"""What those who send runs and those who execute them agree on."""

import base64
import itertools
import json
from typing import Any

import pytest

from orchestration.dagster_runtime import broker, broker_messages, worker
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
    assert {broker_messages.EXECUTE, broker_messages.SETTLE} <= set(worker.app.tasks)


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


def published(kind: str, headers: object, body: object, **properties: object) -> dict[str, object]:
    """A message as kombu reads it."""
    encoded = base64.b64encode(json.dumps(body).encode()).decode()
    place = {"delivery_tag": "t", "delivery_info": {"exchange": kind, "routing_key": ""}, "body_encoding": "base64"}
    return {"body": encoded, "headers": headers, "properties": {**place, **properties}}


def handed_on(headers: object, body: object, queue: str = "ingest") -> Any:
    found = broker_messages.admitted(published("", headers, body), queue)
    return None if found is None else (found["headers"], json.loads(base64.b64decode(found["body"])))


def test_of_a_task_the_id_and_its_texts_are_handed_on_and_nothing_else() -> None:
    more = {"timelimit": [1, 1], "eta": "2026-01-01T00:00:00", "shadow": "a\nb", "compression": "bzip2"}
    embedded = {"callbacks": [{"task": "x"}], "chord": {"task": "x"}}
    headers, body = handed_on({"task": "millrace.execute_run", "id": "r", **more}, [["r"], {"a": 1}, embedded])
    assert {name: value for name, value in headers.items() if value} == {
        "lang": "py",
        "task": "millrace.execute_run",
        "id": "r",
        "root_id": "r",
        "ignore_result": True,
    }
    assert body == [["r"], {}, dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))]
    task = {"task": "millrace.settle_run", "id": "i" * 1_000_000}
    headers, body = handed_on(task, [["r", "x" * 1_000_000], {}, {}])
    assert len(json.dumps((headers, body))) < 12_000


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"task": "celery.chord_unlock", "id": "r"}, [["r"], {}, {}]),
        ({"task": "millrace.execute_run", "id": 7}, [["r"], {}, {}]),
        ({"task": "millrace.execute_run", "id": "r"}, [[7], {}, {}]),
        ({"task": "millrace.execute_run", "id": "r"}, [["r", "x"], {}, {}]),
        ({"task": "millrace.execute_run", "id": "r"}, {"args": ["r"]}),
        ({"task": "millrace.execute_run"}, [["r"], {}, {}]),
        (7, [["r"], {}, {}]),
    ],
)
def test_what_is_no_task_of_ours_is_left_out(headers: object, body: object) -> None:
    assert handed_on(headers, body) is None


def test_a_command_has_the_one_argument_that_it_needs_and_kills_nobody() -> None:
    queue = "ingest@host.celery.pidbox"
    arguments = {"task_id": "r", "terminate": True, "signal": "KILL"}
    _, order = handed_on({"clock": 2**99, "expires": 9.5}, {"method": "revoke", "arguments": arguments}, queue)
    assert order["arguments"] == {"task_id": "r"}
    for method in ("pool_grow", "pool_restart", "rate_limit", "add_consumer", "cancel_consumer", 7):
        assert handed_on({}, {"method": method, "arguments": {}}, queue) is None
    headers, body = handed_on({"clock": "x", "ticket": "t"}, {"w": {"ok": "pong"}}, "oid.reply.celery.pidbox")
    assert ({name: value for name, value in headers.items() if value}, body) == ({"ticket": "t"}, {"w": {"ok": "pong"}})
