"""Dagster's run monitoring, for runs that may wait in a queue for long.

What belongs here: when a run that has not begun is given up. What does not: asking where it is (`lookout`), and how a
run that has begun is found lost (`launcher`).

Stock monitoring fails every run that has not begun 30 s after its launch. That is right for a run whose message was
lost with the broker, and for an ingest run: its plan is stale by then and its lane planned anew. It is wrong for the
hundredth run of a backfill, which waits its turn: it is let alone as long as its message is in the default queue.
It is wrong as well for a run that is still being made: one of thousands of partitions takes its time before it is sent.
"""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import DagsterRunStatus, RunsFilter
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES, RunRecord
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.daemon import DaemonIterator, MonitoringDaemon
from dagster._daemon.monitoring import execute_concurrency_slots_iteration, run_monitoring
from dagster._daemon.utils import DaemonErrorCapture
from typing_extensions import override

from millrace.orchestration.engine.launcher import WarmRunLauncher, queue_of

# Whoever makes a run for so long has died over it.
_BEING_MADE = timedelta(minutes=10)
_NOT_BEGUN = (DagsterRunStatus.STARTING, DagsterRunStatus.NOT_STARTED)
_UNDER_WAY = [*IN_PROGRESS_RUN_STATUSES, DagsterRunStatus.CANCELING, DagsterRunStatus.NOT_STARTED]


class QueueAwareMonitoringDaemon(MonitoringDaemon):
    """The stock daemon's iteration, except that a run which waits in the default queue does not time out."""

    @override
    def run_iteration(self, workspace_process_context: "IWorkspaceProcessContext[Any]") -> DaemonIterator:
        instance = workspace_process_context.instance
        launcher = instance.run_launcher
        records = instance.get_run_records(RunsFilter(statuses=_UNDER_WAY))
        patient = _patient(launcher, records) if isinstance(launcher, WarmRunLauncher) else frozenset[str]()
        for run_id in (record.dagster_run.run_id for record in records):
            try:
                if run_id not in patient:
                    self.check(workspace_process_context, run_id)
            except Exception:  # noqa: BLE001 - one run that cannot be checked must not hide the others
                yield DaemonErrorCapture.process_exception(
                    exc_info=sys.exc_info(), logger=self._logger, log_message=f"Hit error while monitoring run {run_id}"
                )
            else:
                yield None
        yield from execute_concurrency_slots_iteration(workspace_process_context, self._logger)

    def check(self, context: "IWorkspaceProcessContext[Any]", run_id: str) -> None:
        """Give one run up if it is lost."""
        # Read again: asking the workers took a second, in which a run may have begun, and ended.
        record = context.instance.get_run_record_by_id(run_id)
        status = record.dagster_run.status if record else None
        if record is None:
            return
        if status == DagsterRunStatus.NOT_STARTED and datetime.now(UTC) - record.create_timestamp < _BEING_MADE:
            return
        if status in _NOT_BEGUN:
            run_monitoring.monitor_starting_run(context.instance, record, self._logger)
        elif status == DagsterRunStatus.STARTED:
            run_monitoring.monitor_started_run(context.instance, context.create_request_context(), record, self._logger)
        elif status == DagsterRunStatus.CANCELING:
            run_monitoring.monitor_canceling_run(context.instance, record, self._logger)


def _patient(launcher: WarmRunLauncher, records: Iterable[RunRecord]) -> frozenset[str]:
    """The runs of the default queue that have not begun and are not known to be lost."""
    runs = [record.dagster_run for record in records]
    launcher.lookout.forget_all_but(run.run_id for run in runs)
    default = launcher.default_queue
    candidates = {run.run_id for run in runs if run.status in _NOT_BEGUN and queue_of(run, default) == default}
    return frozenset(candidates - launcher.lookout.nowhere(candidates, default)) if candidates else frozenset()
