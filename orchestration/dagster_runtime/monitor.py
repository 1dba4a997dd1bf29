"""Dagster's run monitoring, for runs that may wait in a queue for long.

What belongs here: when a run that has not begun is given up. What does not: asking where it is (`run_tracker`), what an
absence proves (`run_evidence`), whether one that is being made makes progress (`run_creation`), and how a run that has
begun is found lost (`launcher`).

Stock monitoring fails every run that has not begun 30 s after its launch. That is right for a run whose message was
lost with the broker, and for an ingest run that no worker took: its plan is stale by then and its lane planned anew. It
is wrong for the hundredth run of a backfill, which waits its turn; for a run that a worker has and is about to begin;
and for one that is still being made. Times are those of this process: clocks of two machines differ.
"""

import sys
from collections.abc import Sequence
from typing import Any

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES, RunRecord
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.daemon import DaemonIterator, MonitoringDaemon
from dagster._daemon.monitoring import execute_concurrency_slots_iteration, run_monitoring
from dagster._daemon.utils import DaemonErrorCapture
from typing_extensions import override

from orchestration.dagster_runtime.launcher import WarmRunLauncher, queue_of, read
from orchestration.dagster_runtime.run_creation import RunCreation

_UNDER_WAY = [*IN_PROGRESS_RUN_STATUSES, DagsterRunStatus.CANCELING, DagsterRunStatus.NOT_STARTED]


class QueueAwareMonitoringDaemon(MonitoringDaemon):
    """The stock daemon's iteration, except for runs that have not begun."""

    def __init__(self, interval_seconds: int, making: RunCreation | None = None) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self.making = making or RunCreation()

    @override
    def run_iteration(self, workspace_process_context: "IWorkspaceProcessContext[Any]") -> DaemonIterator:
        instance = workspace_process_context.instance
        records = instance.get_run_records(RunsFilter(statuses=_UNDER_WAY))
        self.look(instance, [record.dagster_run for record in records])
        for run in (record.dagster_run for record in records):
            try:
                self.check(workspace_process_context, run)
            except Exception:  # noqa: BLE001 - one run that cannot be checked must not hide the others
                message = f"Hit error while monitoring run {run.run_id}"
                yield DaemonErrorCapture.process_exception(sys.exc_info(), logger=self._logger, log_message=message)
            else:
                yield None
        yield from execute_concurrency_slots_iteration(workspace_process_context, self._logger)

    def look(self, instance: DagsterInstance, runs: Sequence[DagsterRun]) -> None:
        """See where the runs are. Only after they were read: what an earlier look did not find proves nothing."""
        self.making.forget_all_but(run.run_id for run in runs)
        launcher = instance.run_launcher
        if isinstance(launcher, WarmRunLauncher):
            launcher.run_tracker.watch((read(run, launcher.default_queue) for run in runs), only=True)
            if runs:
                launcher.run_tracker.look()

    def check(self, context: "IWorkspaceProcessContext[Any]", seen: DagsterRun) -> None:
        """Give one run up if it is lost."""
        instance = context.instance
        # Read again: the look took a second, in which a run may have begun, and ended. Its next status has looks of
        # its own.
        record = instance.get_run_record_by_id(seen.run_id)
        if record is None or record.dagster_run.status != seen.status:
            return
        if seen.status == DagsterRunStatus.NOT_STARTED:
            self._give_up(instance, seen, self.making.given_up(instance, seen.run_id))
        elif seen.status == DagsterRunStatus.STARTING:
            self._check_starting(instance, record)
        elif seen.status == DagsterRunStatus.STARTED:
            run_monitoring.monitor_started_run(instance, context.create_request_context(), record, self._logger)
        elif seen.status == DagsterRunStatus.CANCELING:
            run_monitoring.monitor_canceling_run(instance, record, self._logger)

    def _check_starting(self, instance: DagsterInstance, record: RunRecord) -> None:
        launcher = instance.run_launcher
        if isinstance(launcher, WarmRunLauncher):
            seconds = instance.run_monitoring_start_timeout_seconds
            self._give_up(instance, record.dagster_run, not_begun(launcher, record.dagster_run, seconds))
        else:
            run_monitoring.monitor_starting_run(instance, record, self._logger)

    def _give_up(self, instance: DagsterInstance, run: DagsterRun, why: str | None) -> None:
        # Read once more: the last question may have taken seconds.
        now = instance.get_run_by_id(run.run_id) if why else None
        if why is None or now is None or now.status != run.status:
            return
        self._logger.info("run %s: %s", run.run_id, why)
        instance.report_run_failed(run, why, JobFailureData(error=None, failure_reason=RunFailureReason.START_TIMEOUT))


def not_begun(launcher: WarmRunLauncher, run: DagsterRun, wait_seconds: float) -> str | None:
    """Why a run that was sent is given up; None if it is not."""
    run_tracker, queue = launcher.run_tracker, queue_of(run, launcher.default_queue)
    if run_tracker.watched_for(run.run_id) < wait_seconds:
        return None
    if run_tracker.is_lost(run.run_id):
        return (
            f"The run was sent, and is neither in the queue '{queue}' nor with a worker: its message was lost (the "
            "broker was emptied or restarted, or a worker was killed as it took it). Nothing was executed; launch it "
            "again."
        )
    if queue == launcher.default_queue or run.run_id in run_tracker.workers().held:
        return None
    answers = "answer" if queue in run_tracker.workers().served else "do not answer"
    return (
        f"No worker of the queue '{queue}', whose workers {answers}, has taken the run for {wait_seconds:.0f} s. "
        "Nothing was executed, and it will not be: what it should have done is planned anew."
    )
