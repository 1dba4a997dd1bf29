"""The Celery app whose prefork children execute runs, each in its main thread, one after the other.

What belongs here: the task that executes a run, and how a worker is started, kept and ended. What does not: Celery's
settings (`broker`), what a message may ask for (`broker_guard`), what is done before the fork (`warmup`), and starting
one by hand (`cli.processes`).

    celery -A orchestration.dagster_runtime.worker:app worker -Q ingest

The environment is read when Celery first needs its settings, not at import.
"""

import logging
import os
import signal
import socket
from typing import Any

from celery import Celery, signals
from celery.exceptions import WorkerLostError
from dagster import DagsterInstance, DagsterRunStatus
from dagster._cli.api import (
    _execute_run_command_body as execute_run_body,  # pyright: ignore[reportPrivateUsage] - what Dagster's own task calls
)

from contract.shown import said
from orchestration import settings
from orchestration.dagster_runtime import broker, broker_guard, lifetime, pool, warmup
from orchestration.dagster_runtime import instance as home
from orchestration.dagster_runtime.broker_messages import EXECUTE, SETTLE

logger = logging.getLogger("millrace.worker")
_MOST_REASON = 200


class _App(Celery):
    """The app, and the module that its workers import before they fork."""

    code = warmup.DEFINITIONS
    warm = False
    instance: DagsterInstance | None = None


app = _App("millrace", amqp=broker.PatientAMQP)
app.add_defaults(lambda: broker.options(settings.load().broker_url))


def start(queue: str, concurrency: int, code: str | None = None, log_level: str = "warning") -> None:
    """Be a worker of one queue, in the foreground, until SIGTERM or SIGINT.

    Args:
        queue: the one queue; a long run on another must not hold its runs up.
        concurrency: how many runs at once, each in a process of its own.
        code: the module of the definitions, in tests another than Millrace's.
        log_level: from which level on Celery's own lines are shown.
    """
    app.code = code or app.code
    _prepare_parent()
    name = f"{queue}@{socket.gethostname()}"
    arguments = ["--pool=prefork", f"--concurrency={concurrency}", f"--loglevel={log_level}", "-n", name, "-Q", queue]
    app.worker_main(["--quiet", "worker", *arguments, "--without-gossip", "--without-mingle"])


@app.task(name=EXECUTE)  # pyright: ignore[reportUntypedFunctionDecorator]
def execute_run(run_id: str) -> None:
    """Execute a run that somebody launched; a run that has ended is ignored."""
    instance = _instance()
    run_id = broker_guard.run_id_of(run_id)
    run = instance.get_run_by_id(run_id) if run_id else None
    if run is None or run.is_finished:
        return
    with lifetime.same_signals_afterwards():
        failed = execute_run_body(run_id, instance, write_stream_fn=lambda _: None, set_exit_code_on_failure=True)
    if failed:
        _settle(run_id, "it ended without a result")


@app.task(name=SETTLE)  # pyright: ignore[reportUntypedFunctionDecorator]
def settle_run(run_id: str, reason: str) -> None:
    """End a run of which no process is left."""
    # Whoever writes to the broker may call this, with any text: Dagster stores and shows it.
    _settle(broker_guard.run_id_of(run_id), f"its worker process ended: {said(reason, _MOST_REASON)}")


def _settle(run_id: str, reason: str) -> None:
    instance = _instance()
    run = instance.get_run_by_id(run_id) if run_id else None
    if run is None or run.is_finished:
        return
    if run.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run)
    else:
        instance.report_run_failed(run, f"The run was ended from outside: {reason}.")


def _instance() -> DagsterInstance:
    """The instance, kept from run to run and made before the fork: to make one takes half as long as a run."""
    if app.instance is None:
        app.instance = DagsterInstance.get()
    return app.instance


@signals.worker_init.connect
def _prepare_parent(**_: object) -> None:
    """Before the fork, once: all that children can share."""
    if app.warm:
        return
    broker_guard.admit_only_ours(app)
    home.write_events_in_batches()
    _touch_database()
    pool.close_connections()
    warmup.warm_up(app.code)
    app.warm = True


@signals.worker_process_init.connect
def _prepare_child(**_: object) -> None:
    """In each new child, before it takes runs."""
    lifetime.end_with_parent(signal.SIGTERM)
    _touch_database()


def _touch_database() -> None:
    """Make Dagster's tables if they are missing, and open the first connection."""
    try:
        _instance().get_run_by_id("none")
    except Exception as error:  # noqa: BLE001 - whatever it is, a run will meet it again and say so
        logger.warning("PostgreSQL does not answer yet, starting without it: %s", type(error).__name__)


@signals.task_failure.connect
def _child_lost(sender: Any, task_id: str, exception: BaseException, **_: object) -> None:
    """In the parent, when a child has died: another child is told to end the run, sooner than run monitoring would."""
    if sender.name == EXECUTE and isinstance(exception, WorkerLostError):
        logger.warning("run %s: %s", task_id, exception)
        queue = sender.request.delivery_info["routing_key"]
        app.send_task(SETTLE, args=[task_id, str(exception)], queue=queue)


@signals.worker_ready.connect
def _say_ready(sender: Any, **_: object) -> None:
    logger.info("%s is ready, pid %s", sender.hostname, os.getpid())


@signals.worker_shutting_down.connect
def _end(**_: object) -> None:
    lifetime.bound_shutdown()


@signals.setup_logging.connect
def _set_up_logging(loglevel: int, **_: object) -> None:
    """One line a record on stderr; who keeps the worker running keeps its log."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        broker_guard.OneLineFormatter("%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=loglevel, handlers=[handler])
    logging.getLogger("millrace").setLevel(min(loglevel, logging.INFO))
