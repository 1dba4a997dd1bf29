"""Dagster's daemons with sensors that may tick every second.

What belongs here: which daemons run and how often the sensors are looked at. What does not: the sensors.

Dagster's sensor loop sleeps five seconds and has no setting for it. A sensor is due `minimum_interval_seconds` after
its last tick began, so a loop of one second would find it not yet due every other time: ours sleeps a second, or until
the next sensor is due whose tick is over. Every other daemon is Dagster's own, but for the one that watches runs
(`monitor`).
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Event
from typing import Any

from dagster import DagsterInstance
from dagster._core.remote_representation.external import RemoteSensor
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.controller import create_daemons_from_instance, daemon_controller_from_instance
from dagster._daemon.daemon import DaemonIterator, DagsterDaemon, MonitoringDaemon, SensorDaemon, SpanMarker
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._daemon.utils import DaemonErrorCapture
from dagster._utils.interrupts import capture_interrupts, setup_interrupt_handlers
from typing_extensions import override

from orchestration.dagster_runtime import instance as home
from orchestration.dagster_runtime.monitor import QueueAwareMonitoringDaemon

# A tick begins in a thread, a little later than it was found due, and its interval counts from there.
_LATER_SECONDS, _RETRY_SECONDS, _RETRIED_SECONDS = 0.03, 0.05, 0.25
LOOK_SECONDS = 1.0 + _LATER_SECONDS


class FastSensorDaemon(SensorDaemon):
    """Dagster's sensor daemon with a loop of at most a second."""

    def __init__(self, settings: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(settings)
        self._clock = clock
        self._due: dict[str, float] = {}

    @override
    def instrument_elapsed(self, sensor: RemoteSensor, elapsed: float | None, min_interval: int) -> None:
        """Called for each sensor that is due, just before its tick: notes when the next one will be."""
        self._due[sensor.selector_id] = self._clock() + min_interval + _LATER_SECONDS

    def seconds_to_sleep(self, under_way: Mapping[str, Future[Any]]) -> float:
        """Until the next look: a second, or less where a sensor is due sooner whose tick is over.

        One that was due and did not tick may have been switched off, so it is waited for only a moment longer.
        """
        now = self._clock()
        over = [due - now for sensor, due in self._due.items() if sensor not in under_way or under_way[sensor].done()]
        return min([LOOK_SECONDS, *(max(each, _RETRY_SECONDS) for each in over if each > -_RETRIED_SECONDS)])

    @override
    def core_loop(
        self, workspace_process_context: "IWorkspaceProcessContext[Any]", shutdown_event: Event
    ) -> DaemonIterator:
        ticks_under_way: dict[str, Future[Any]] = {}
        while True:
            yield SpanMarker.START_SPAN
            try:
                yield from execute_sensor_iteration(
                    workspace_process_context,
                    self._logger,
                    threadpool_executor=self._threadpool_executor,
                    submit_threadpool_executor=self._submit_threadpool_executor,
                    sensor_tick_futures=ticks_under_way,
                    instrument_elapsed=self.instrument_elapsed,
                )
            except Exception:  # noqa: BLE001 - as in Dagster's own loop: shown in the UI, and the next turn tries again
                yield DaemonErrorCapture.process_exception(
                    exc_info=sys.exc_info(), logger=self._logger, log_message="SensorDaemon caught an error"
                )
            yield SpanMarker.END_SPAN
            shutdown_event.wait(self.seconds_to_sleep(ticks_under_way))
            yield None


def make_daemons(instance: DagsterInstance) -> Sequence[DagsterDaemon[Any]]:
    """The daemons that the instance asks for, two of them replaced by ours."""
    return [_ours(daemon, instance) for daemon in create_daemons_from_instance(instance)]


def _ours(daemon: DagsterDaemon[Any], instance: DagsterInstance) -> DagsterDaemon[Any]:
    if type(daemon) is SensorDaemon:
        return FastSensorDaemon(settings=instance.get_sensor_settings())
    if type(daemon) is MonitoringDaemon:
        return QueueAwareMonitoringDaemon(interval_seconds=instance.run_monitoring_poll_interval_seconds)
    return daemon


def run(workspace: Path, log_level: str = "warning") -> None:
    """Run the daemons in the foreground until SIGINT or SIGTERM; the instance is that of DAGSTER_HOME."""
    home.write_events_in_batches()  # the backfill daemon makes runs of many partitions
    home.ask_the_code_server_less_often()
    setup_interrupt_handlers()
    try:
        with (
            capture_interrupts(),
            DagsterInstance.get() as instance,
            daemon_controller_from_instance(
                instance,
                workspace_load_target=WorkspaceFileTarget([str(workspace)]),
                gen_daemons=make_daemons,
                log_level=log_level,
                code_server_log_level="warning",
            ) as controller,
        ):
            controller.check_daemon_loop()
    except KeyboardInterrupt:
        return
