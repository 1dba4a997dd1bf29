"""What the engine stands on inside Dagster and Celery, none of it promised: an upgrade that moves it fails here."""

# pyright: reportPrivateUsage=false

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery.worker import state as worker_state
from celery.worker.request import Request
from dagster import DagsterInstance
from dagster._cli import api
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import reconstruct_repository_def_from_pointer
from dagster._core.launcher import RunLauncher
from dagster._core.remote_representation.code_location import CodeLocation
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.workspace.autodiscovery import LoadableTarget, loadable_targets_from_python_module
from dagster._daemon import sensor
from dagster._daemon.controller import create_daemons_from_instance, daemon_controller_from_instance
from dagster._daemon.daemon import IntervalDaemon, MonitoringDaemon, SensorDaemon
from dagster._daemon.monitoring import run_monitoring
from dagster._daemon.utils import DaemonErrorCapture
from dagster._utils import interrupts
from dagster_celery.launcher import CeleryRunLauncher
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage

from orchestration.dagster_runtime import storages
from orchestration.dagster_runtime.daemon import LOOK_SECONDS, FastSensorDaemon

SENSOR_ITERATION = """workspace_process_context logger threadpool_executor submit_threadpool_executor
    sensor_tick_futures debug_crash_flags instrument_elapsed"""

CREATE_RUN = """self job_name run_id run_config status tags root_run_id parent_run_id step_keys_to_execute
    execution_plan_snapshot job_snapshot parent_job_snapshot asset_selection asset_check_selection resolved_op_selection
    op_selection remote_job_origin job_code_origin asset_graph"""

SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    (sensor.execute_sensor_iteration, SENSOR_ITERATION),
    (SensorDaemon.core_loop, "self workspace_process_context shutdown_event"),
    (SensorDaemon.instrument_elapsed, "self sensor elapsed min_interval"),
    (MonitoringDaemon.run_iteration, "self workspace_process_context"),
    (IntervalDaemon.__init__, "self interval_seconds interval_jitter_seconds startup_jitter_seconds"),
    (run_monitoring.monitor_starting_run, "instance run_record logger"),
    (run_monitoring.monitor_started_run, "instance workspace run_record logger"),
    (run_monitoring.monitor_canceling_run, "instance run_record logger"),
    (DaemonErrorCapture.process_exception, "exc_info logger log_message"),
    (create_daemons_from_instance, "instance"),
    (api._execute_run_command_body, "run_id instance write_stream_fn set_exit_code_on_failure"),
    (CodePointer.from_module, "module_name definition working_directory"),
    (reconstruct_repository_def_from_pointer, "pointer repository_load_data"),
    (PostgresRunStorage.__init__, "self postgres_url should_autocreate_tables inst_data token_provider"),
    (PostgresEventLogStorage.__init__, "self postgres_url should_autocreate_tables inst_data token_provider"),
    (PostgresScheduleStorage.__init__, "self postgres_url should_autocreate_tables inst_data token_provider"),
    (PostgresRunStorage.optimize_for_webserver, "self statement_timeout pool_recycle max_overflow"),
    (CeleryRunLauncher.launch_run, "self context"),
    (CeleryRunLauncher.terminate, "self run_id"),
    (CeleryRunLauncher.check_run_worker_health, "self run"),
    (RunLauncher.get_run_worker_debug_info, "self run include_container_logs"),
    (DagsterInstance.create_run, CREATE_RUN),
    (CodeLocation.get_job, "self selector"),
    (CodeLocation.get_execution_plan, "self remote_job run_config step_keys_to_execute known_state instance"),
    (SqlEventLogStorage.get_asset_check_execution_history, "self check_key limit cursor status partition_filter"),
]


@pytest.mark.parametrize(("function", "parameters"), SIGNATURES, ids=[f.__qualname__ for f, _ in SIGNATURES])
def test_a_function_that_is_called_or_overridden_has_the_same_parameters(
    function: Callable[..., Any], parameters: str
) -> None:
    assert list(inspect.signature(function).parameters) == parameters.split()


def test_the_stock_sensor_loop_is_still_too_slow_and_still_has_no_setting() -> None:
    """When this fails, look whether FastSensorDaemon is still needed."""
    assert sensor.MIN_INTERVAL_LOOP_TIME == 5
    assert LOOK_SECONDS < 1.1
    assert "MIN_INTERVAL_LOOP_TIME - loop_duration" in inspect.getsource(sensor.execute_sensor_iteration_loop)


def test_the_sensor_daemon_has_the_parts_that_ours_uses() -> None:
    daemon = FastSensorDaemon(settings={"use_threads": True, "num_workers": 2, "num_submit_workers": 2})
    with daemon:
        assert daemon._threadpool_executor is not None
        assert daemon._submit_threadpool_executor is not None
        assert callable(daemon.instrument_elapsed)


def test_daemons_can_still_be_handed_in() -> None:
    assert "gen_daemons" in inspect.signature(daemon_controller_from_instance).parameters


def test_the_code_s_targets_still_have_a_name() -> None:
    assert "attribute" in LoadableTarget._fields
    assert list(inspect.signature(loadable_targets_from_python_module).parameters)[:2] == [
        "module_name",
        "working_directory",
    ]


@pytest.mark.parametrize(
    ("ours", "stock"),
    [
        (storages.PooledRunStorage, PostgresRunStorage),
        (storages.PooledEventLogStorage, PostgresEventLogStorage),
        (storages.PooledScheduleStorage, PostgresScheduleStorage),
    ],
)
def test_every_remembered_question_is_one_that_the_stock_storage_asks(ours: type, stock: type) -> None:
    remembered = [name for name, value in vars(ours).items() if "_remember_yes" in getattr(value, "__qualname__", "")]
    assert len(remembered) >= 3
    assert [name for name in remembered if not callable(getattr(stock, name, None))] == []
    assert "self._engine" in inspect.getsource(stock), "the engine is still kept under the name that we replace"


def test_a_run_still_leaves_the_signal_handlers_changed() -> None:
    """When this fails, `lifetime.same_signals_afterwards` may go."""
    assert "signal.getsignal(signal.SIGINT)" in inspect.getsource(interrupts.setup_interrupt_handlers)


def test_celery_s_workers_still_know_what_they_hold() -> None:
    assert "worker_pid" in inspect.getsource(Request)
    assert worker_state.reserved_requests is not None
    assert worker_state.active_requests is not None


def test_a_run_that_the_release_before_queued_still_finds_its_code() -> None:
    """Its module was `millrace.orchestration.definitions`; in a process of its own, for warming up freezes objects."""
    code = (
        "from dagster._core.code_pointer import CodePointer\n"
        "from orchestration.dagster_runtime import warmup\n"
        "warmup.warm_up('tests.dagster_runtime.sample_definitions')\n"
        "pointer = CodePointer.from_module('millrace.orchestration.definitions', 'defs', None)\n"
        "print(type(pointer.load_target()).__name__)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert answer.stdout.split() == ["Definitions"], answer.stderr
