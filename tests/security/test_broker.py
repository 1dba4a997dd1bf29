"""What somebody gains who can write to the broker: ends and repeats of runs that there are, and no code of his own.

What belongs here: the workers' app as they have it, in a process of its own. What does not: how runs are sent
(`dagster_runtime`).
"""

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

from tests.security.test_claims import SETTINGS

_PROGRAM = """
import inspect, json, pickle, pathlib, tempfile
from dagster import DagsterInstance
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
worker.app.instance = DagsterInstance.ephemeral()
answers = [worker.execute_run.run("nobody"), worker.settle_run.run("nobody", "x")]
ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
print(json.dumps({
    "refused": refused,
    "executed": mark.exists(),
    "unknown_runs": answers,
    "tasks": {name: list(inspect.signature(task.run).parameters) for name, task in ours.items()},
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
    assert found()["unknown_runs"] == [None, None]


def test_a_command_to_the_workers_imports_no_module() -> None:
    """Celery's `pool_restart` would import what a message names; the workers refuse it."""
    assert found()["restart"] is False
    assert found()["results"] is None
    assert found()["imports"] == []
