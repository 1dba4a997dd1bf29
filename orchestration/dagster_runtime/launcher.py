"""Dagster's run launcher: a run is one small message to the warm workers of its queue.

What belongs here: sending runs, canceling them, and saying whether a run's worker still has it. What does not: how a
worker executes one (`worker`), and when Dagster asks (`monitor`).

The task's id is the run's id, so that there is nothing to look up, to store in a tag, or to inherit by a re-execution.
"""

from collections.abc import Mapping
from typing import Any, Self

from dagster import DagsterRun, DagsterRunStatus, Field, StringSource
from dagster._core.events import EngineEventData
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, ResumeRunContext, RunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClassData
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG
from kombu.exceptions import OperationalError
from typing_extensions import override

from orchestration.dagster_runtime import broker as celery_broker
from orchestration.dagster_runtime.broker_messages import EXECUTE
from orchestration.dagster_runtime.run_tracker import RunTracker, TrackedRun
from resources.redis import reason_of, try_list_write


class BrokerError(Exception):
    """The broker did not take a run; its text names the reason, and no password."""


def refusal(error: BaseException) -> str:
    """What the broker refused, for people; Celery wraps Redis's own error."""
    inner = error.__cause__ if isinstance(error, OperationalError) and error.__cause__ else error
    return reason_of(inner)


def queue_of(run: DagsterRun, default: str = celery_broker.DEFAULT_QUEUE) -> str:
    """The queue that a run belongs to."""
    return run.tags.get(DAGSTER_CELERY_QUEUE_TAG, default)


def read(run: DagsterRun, default: str = celery_broker.DEFAULT_QUEUE) -> TrackedRun:
    """A run as it was read, for who looks for it."""
    begun = run.status not in (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING)
    return TrackedRun(run.run_id, run.status.value, queue_of(run, default), begun)


class WarmRunLauncher(CeleryRunLauncher):
    """`CeleryRunLauncher` without results, with short time-outs, and with a cancel that ends in CANCELED."""

    def __init__(
        self,
        broker: str,
        default_queue: str = celery_broker.DEFAULT_QUEUE,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        self._inst_data = inst_data
        self.broker = broker
        self.default_queue = default_queue
        # Stock makes an app here that becomes the process's current one; a worker has that already.
        self.celery = celery_broker.client(broker)
        self.run_tracker = RunTracker(self.celery)
        RunLauncher.__init__(self)

    @classmethod
    @override
    def config_type(cls) -> dict[str, Field]:
        return {
            "broker": Field(StringSource, description="The URL of Celery's Redis."),
            "default_queue": Field(StringSource, is_required=False, default_value=celery_broker.DEFAULT_QUEUE),
        }

    @classmethod
    @override
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data, **config_value)

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        queue = queue_of(run, self.default_queue)
        # Before it is sent: were this to fail afterwards, Dagster would call a run failed that a worker executes.
        message = f"Sending the run to the workers of the queue '{queue}'."
        self._instance.report_engine_event(message, run, EngineEventData({"queue": queue}), type(self))
        try:
            self.celery.send_task(EXECUTE, args=[run.run_id], task_id=run.run_id, queue=queue)
        except Exception as error:
            why = refusal(error) if isinstance(error, celery_broker.ERRORS) else type(error).__name__
            raise BrokerError(f"the broker took no run for the queue '{queue}': {why}") from error

    def refused(self, queue: str | None = None) -> str | None:
        """Why no run could be sent now; None if one could. Who asks first spares a failed run a tick of an outage.

        Does what sending a run does, but for the run: a broker that answers may take no writes.
        """
        name = queue or self.default_queue
        try:
            with self.celery.connection_for_write() as connection:
                channel: Any = connection.default_channel
                self.celery.amqp.queues[name](channel).declare()
                try_list_write(channel.client, name)
        except celery_broker.ERRORS as error:
            return refusal(error)
        return None

    def broker_answers(self) -> bool:
        """Whether a run could be sent now."""
        return self.refused() is None

    @property
    @override
    def supports_resume_run(self) -> bool:
        return False

    @override
    def resume_run(self, context: ResumeRunContext) -> None:
        raise NotImplementedError("a run that lost its worker is planned anew, never resumed")

    @override
    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if run.status != DagsterRunStatus.CANCELING:
            # First: an interrupted run reports CANCELED only when it finds itself canceling, else FAILURE.
            self._instance.report_run_canceling(run)
        waiting = run_id in self.run_tracker.waiting(queue_of(run, self.default_queue))
        self.run_tracker.interrupt(run_id)
        if waiting:
            self._instance.report_run_canceled(run, "Canceled before a worker took it.")
        return True

    @override
    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        self.run_tracker.watch([read(run, self.default_queue)])
        self.run_tracker.workers()
        if self.run_tracker.is_lost(run.run_id):
            return CheckRunHealthResult(WorkerStatus.FAILED, "no worker has this run any more")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    @override
    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:
        queue = queue_of(run, self.default_queue)
        workers = "answer" if queue in self.run_tracker.workers().served else "do not answer"
        return f"queue '{queue}', whose workers {workers}"
