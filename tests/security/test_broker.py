"""What somebody gains who can write to the broker: ends and repeats of runs that there are, and no code of his own.

What belongs here: the workers' app as they have it, in a process of its own. What does not: how runs are sent, and
messages that a running worker gets (`dagster_runtime`).
"""

import json
import logging
import os
import subprocess
import sys
from functools import cache
from typing import Any

from orchestration.dagster_runtime.broker_guard import OneLineFormatter
from orchestration.dagster_runtime.run_tracker import answers_of
from tests.security.test_claims import SETTINGS

_PROGRAM = """
import inspect, json, pickle, pathlib, tempfile
from celery.worker.control import Panel
from dagster import DagsterEventType, DagsterInstance, job
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads, prepare_accept_content
from orchestration.dagster_runtime import worker

app, mark = worker.app, pathlib.Path(tempfile.mkdtemp()) / "executed"

class Planted:
    def __reduce__(self):
        return pathlib.Path.touch, (mark,)

attacks = {
    "application/x-python-serialize": pickle.dumps(Planted()),
    "application/x-yaml": b"!!python/object/apply:os.system ['touch %s']" % str(mark).encode(),
}
refused = []
for kind, body in attacks.items():
    try:
        loads(body, kind, "binary", accept=prepare_accept_content(app.conf.accept_content))
    except ContentDisallowed:
        refused.append(kind)
worker.app.instance = instance = DagsterInstance.ephemeral()
strange = ["nobody", "", None, 7, ["x"], {"a": 1}, "x" * 10_000_000]
answers = [each for run in strange for each in (worker.execute_run.run(run), worker.settle_run.run(run, "x"))]
waiting = [instance.create_run_for_job(job(name="waits")(lambda: None)).run_id for _ in range(3)]
for run, reason in zip(waiting, ("a\\nERROR forged\\x1b[2J\\u202e" + "x" * 5_000_000, {"a": [1] * 100_000}, None)):
    worker.settle_run.run(run, reason)
kinds = {DagsterEventType.RUN_FAILURE}
told = [str(record.message) for run in waiting for record in instance.all_logs(run, of_type=kinds)]
worker.broker_guard.admit_only_ours(app)
print(json.dumps({
    "refused": refused,
    "executed": mark.exists(),
    "unknown_runs": answers,
    "told": told,
    "commands": sorted(Panel.data),
    "tasks": {name: list(inspect.signature(task.run).parameters) for name, task in app.tasks.items()},
    "restart": app.conf.worker_pool_restarts,
    "results": app.conf.result_backend,
    "imports": list(app.conf.imports) + list(app.conf.include),
}))
"""


@cache
def found() -> dict[str, Any]:
    """What a worker's app says and does; the app keeps the settings that it has once read."""
    asked = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env={**os.environ, **SETTINGS}, capture_output=True, text=True, check=True
    )
    return json.loads(asked.stdout.splitlines()[-1])


def test_a_message_that_is_no_json_is_not_read_and_executes_nothing() -> None:
    assert found()["refused"] == ["application/x-python-serialize", "application/x-yaml"]
    assert found()["executed"] is False


def test_a_message_can_ask_only_for_a_run_that_dagsters_tables_have() -> None:
    assert found()["tasks"] == {"millrace.execute_run": ["run_id"], "millrace.settle_run": ["run_id", "reason"]}
    assert set(found()["unknown_runs"]) == {None}


def test_the_reason_of_a_message_is_one_short_line_of_a_run() -> None:
    """Dagster keeps what a run's end is told with, and shows it."""
    told = found()["told"]
    assert [text for text in told if not text.isprintable() or len(text) > 400] == []
    assert "its worker process ended: a ERROR forged\\x1b[2J\\u202exxx" in told[0]
    assert len(told) == 3


def test_a_command_to_the_workers_is_one_of_five_and_imports_no_module() -> None:
    """Celery's `pool_restart` would import what a message names, `pool_grow` start any number of processes."""
    assert found()["commands"] == ["millrace_interrupt", "millrace_runs", "ping", "revoke", "shutdown"]
    assert found()["restart"] is False
    assert found()["results"] is None
    assert found()["imports"] == []


def test_an_answer_that_no_worker_gives_is_left_out() -> None:
    strange = [
        7,
        None,
        "x",
        {"w": 7},
        {"w": {"runs": 1}},
        {"w": {"queues": [["x"]], "runs": []}},
        {"w": {"queues": []}},
    ]
    [answer] = answers_of([*strange, {"ingest@host": {"queues": ["ingest"], "runs": ["a"]}}])
    assert (answer.name, answer.queues, answer.runs) == ("ingest@host", {"ingest"}, {"a"})


def test_no_message_forges_a_line_of_a_workers_log_or_fills_it() -> None:
    forged = "Task x[1\n2026-11-28 ERROR all is lost\x1b[2J\u2028y]" + "z" * 1_000_000
    try:
        raise ValueError(forged)
    except ValueError:
        raised = sys.exc_info()
    record = logging.LogRecord("celery", logging.ERROR, "f", 1, "%s failed", (forged,), raised)
    first, *rest = OneLineFormatter("%(levelname)s %(message)s").format(record).split("\n")
    assert first.startswith("ERROR Task x[1 2026-11-28 ERROR all is lost\\x1b[2J")
    assert [line for line in rest if not line.startswith("  ")] == []
    assert [line[:50] for line in (first, *rest) if len(line) > 2_100 or not line.isprintable()] == []
