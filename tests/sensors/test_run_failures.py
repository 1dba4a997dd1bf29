"""Failed runs are counted once each and reported once a cause, on a real Dagster instance and a real database."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import dagster as dg
import psycopg
import pytest
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, RunLauncher, WorkerStatus
from dagster._daemon.monitoring import run_monitoring

from assets.ingest.retry import StorageFailed
from benchmarks.copied_runs import copy_run
from infra.local.harness import Running
from monitoring.metrics.totals import Totals
from orchestration.dagster_runtime import worker as celery_worker
from orchestration.dagster_runtime.launcher import BrokerError
from orchestration.definitions import build_defs
from resources.postgres import DatabaseFailed, Postgres, describe
from sensors import run_failures
from sensors.run_failures import FailureCount, RunFailures, explain
from tests.support.world import World, fresh_world
from tests.upkeep.dagster_tables import instance_in

services = pytest.mark.services
MARKER = "patient user-47-11 of Dr. Doe"
HOUR = timedelta(hours=1)


class NothingOfOurs(Exception): ...


def wrapped(failed: type[Exception], error: Exception) -> Exception:
    """As `commit_with_retry` raises what it gives up on."""
    return failed(f"{describe(error)} (after 60 s and 9 retries)")


RAISED: dict[str, tuple[Exception, str]] = {
    "gone": (wrapped(StorageFailed, psycopg.OperationalError(MARKER)), "StorageFailed: connection"),
    "shut": (wrapped(StorageFailed, psycopg.errors.AdminShutdown(MARKER)), "StorageFailed: connection"),
    "full": (wrapped(StorageFailed, psycopg.errors.DiskFull(MARKER)), "StorageFailed: DiskFull"),
    "held": (wrapped(StorageFailed, psycopg.errors.LockNotAvailable(MARKER)), "StorageFailed: lock timeout"),
    "odd": (StorageFailed(MARKER), "StorageFailed"),
    "table": (DatabaseFailed("UndefinedTable 42P01: no such table"), "DatabaseFailed: UndefinedTable"),
    "broker": (BrokerError(MARKER), "BrokerError"),
    "other": (NothingOfOurs(MARKER), "NothingOfOurs"),
}


@dg.op(config_schema=str)
def fail(context: dg.OpExecutionContext) -> None:
    raise RAISED[context.op_config][0]


@dg.op
def fail_within() -> None:
    Totals().observe(cast("Any", MARKER), [1.0])


@dg.job
def failing() -> None:
    fail()


@dg.job
def failing_within() -> None:
    fail_within()


@dataclass
class Failures:
    """An instance in the test's database, and the sensor, evaluated as the daemon would."""

    world: World
    instance: dg.DagsterInstance
    sensor: RunFailures = field(init=False)

    def __post_init__(self) -> None:
        self.sensor = RunFailures(self.world.worker.postgres)

    def fail(self, what: str = "gone") -> str:
        config = {"ops": {"fail": {"config": what}}}
        return failing.execute_in_process(config, instance=self.instance, raise_on_error=False).run_id

    def copies(self, run_id: str, times: int, back: timedelta = timedelta(0), apart: int = 0) -> list[str]:
        return copy_run(self.world.worker.postgres, run_id, times, back, timedelta(seconds=apart))

    def tick(self) -> str:
        return self.sensor.tick(lambda: logging.getLogger("tick"))

    def causes(self) -> dict[tuple[str, str], int]:
        rows = self.world.query("select job, cause, runs from ops.failure_causes")
        return {(job, cause): runs for job, cause, runs in rows}

    def cause(self, run_id: str) -> str:
        return self.world.one("select cause from ops.failed_runs where run_id = %s", run_id)

    def started(self) -> dg.DagsterRun:
        """A run that a worker has."""
        run = self.instance.create_run_for_job(failing_within, status=dg.DagsterRunStatus.STARTING)
        self.instance.report_dagster_event(
            dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name, message="begins"), run.run_id
        )
        return run


@pytest.fixture(scope="module")
def shared(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failures]:
    """One database for all of these tests: to make Dagster's tables takes longer than most of them."""
    directory = tmp_path_factory.mktemp("failures")
    with (
        fresh_world(services, directory) as world,
        instance_in(world.settings.postgres_url, directory / "home") as instance,
    ):
        yield Failures(world, instance)


@pytest.fixture
def failures(shared: Failures) -> Failures:
    """Without any run."""
    tables = ("runs", "run_tags", "event_logs", "asset_event_tags")
    shared.world.query(f"truncate {', '.join('dagster.' + table for table in tables)}")
    shared.world.query("truncate ops.failed_runs, ops.failure_causes")
    return Failures(shared.world, shared.instance)


@services
def test_a_cause_is_reported_once_and_every_run_of_it_is_counted(
    failures: Failures, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [failures.fail() for _ in range(3)]
    told = failures.tick()
    assert told.startswith("3 runs of failing failed since 2")
    assert told.endswith("StorageFailed: connection; reported")
    assert failures.sensor.tick(no_log) == "no new failures"
    failures.fail("shut")
    assert not failures.tick().endswith("reported")
    assert failures.causes() == {("failing", "StorageFailed: connection"): 4}
    [line] = [r for r in caplog.records if r.name == "tick"]
    assert line.levelno == logging.WARNING
    assert line.getMessage() == (
        f"3 runs of failing failed: StorageFailed: connection. The last: {runs[-1]}. "
        "See docs/runbook.md#millracerunfailures"
    )
    [[first, last, reported]] = failures.world.query("select first_at, last_at, reported_at from ops.failure_causes")
    assert first < last < datetime.now(UTC)
    assert first < reported


@services
def test_each_cause_is_reported_by_itself(failures: Failures, caplog: pytest.LogCaptureFixture) -> None:
    failures.fail("gone")
    assert failures.tick().endswith("connection; reported")
    failures.fail("gone")
    failures.fail("full")
    told = failures.tick()
    assert "DiskFull; reported" in told
    assert "connection; reported" not in told
    assert failures.causes() == {("failing", "StorageFailed: connection"): 2, ("failing", "StorageFailed: DiskFull"): 1}
    assert len(caplog.records) == 2


@services
def test_after_a_quiet_hour_a_cause_is_news_again(failures: Failures) -> None:
    """Quiet is measured between failures, not between ticks: a sensor that was off for long reports nothing anew."""
    run = failures.fail()
    failures.world.query("update dagster.runs set status = 'SUCCESS'")
    failures.copies(run, 1, back=3 * HOUR)
    failures.world.query("update dagster.runs set status = 'FAILURE' where run_id <> %s", run)
    assert failures.tick().endswith("; reported")
    failures.sensor = RunFailures(failures.world.worker.postgres)
    failures.copies(run, 1, back=timedelta(hours=2, seconds=5))
    failures.world.query("update dagster.runs set status = 'FAILURE' where run_id <> %s", run)
    assert not failures.tick().endswith("; reported")
    failures.world.query("update dagster.runs set status = 'FAILURE'")
    assert failures.tick().endswith("; reported")
    assert list(failures.causes().values()) == [3]


@services
def test_ticks_at_once_count_each_run_once_and_report_once(
    failures: Failures, caplog: pytest.LogCaptureFixture
) -> None:
    """All look before any of them counts."""
    runs = [failures.fail("gone"), failures.fail("full")]
    for run in runs:
        failures.copies(run, 99)
    log, together = logging.getLogger("tick"), threading.Barrier(4)
    counted: list[FailureCount] = []

    def tick() -> None:
        with failures.world.worker.postgres.connect("test") as connection:
            found = failures.sensor.find(connection)
            together.wait(20)
            counted.extend(failures.sensor.count(connection, found, log))

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(failures.causes().values()) == [100, 100]
    assert sum(each.runs for each in counted) == 200
    assert failures.world.one("select count(*)::int from ops.failed_runs") == 200
    assert len([r for r in caplog.records if r.name == "tick"]) == 2


@services
def test_a_tick_that_is_killed_counts_nothing_and_the_next_one_does(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures.fail()

    def killed(_connection: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run_failures, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            failures.tick()
    assert failures.causes() == {}
    assert failures.tick().endswith("; reported")
    assert list(failures.causes().values()) == [1]


@services
def test_a_storm_is_worked_off_over_ticks_oldest_first_and_reported_once(
    failures: Failures, caplog: pytest.LogCaptureFixture
) -> None:
    copies = failures.copies(failures.fail(), 999, back=timedelta(seconds=1), apart=1)
    began = datetime.now(UTC)
    told = failures.tick()
    assert datetime.now(UTC) - began < timedelta(seconds=2)
    assert told.startswith("300 runs of failing")
    assert told.endswith("More are counted in the next tick")
    assert failures.world.one("select last_run_id from ops.failure_causes") == copies[299]
    for _ in range(3):
        failures.tick()
    assert failures.tick() == "no new failures"
    assert list(failures.causes().values()) == [1_000]
    assert len([r for r in caplog.records if r.name == "tick"]) == 1


@services
def test_a_failure_that_dagster_wrote_down_long_ago_is_found_within_minutes(failures: Failures) -> None:
    """Ticks look at young runs only, but for one every five minutes: clocks differ, transactions take their time."""
    now = [0.0]
    failures.sensor.clock = lambda: now[0]
    assert failures.tick() == "no new failures"
    run = failures.fail()
    failures.world.query("update dagster.runs set update_timestamp = update_timestamp - interval '1 h'")
    young = failures.fail("full")
    assert failures.tick().startswith("1 run of failing failed")
    assert failures.cause(young) == "StorageFailed: DiskFull"
    now[0] = 299.0
    assert failures.tick() == "no new failures"
    now[0] = 300.0
    failures.tick()
    assert failures.cause(run) == "StorageFailed: connection"


@services
def test_exceptions_get_short_names_and_nothing_of_their_text_is_kept_or_logged(
    failures: Failures, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tick")
    runs = {what: failures.fail(what) for what in RAISED}
    within = failing_within.execute_in_process(instance=failures.instance, raise_on_error=False).run_id
    told = failures.tick()
    assert {what: failures.cause(run) for what, run in runs.items()} == {w: cause for w, (_, cause) in RAISED.items()}
    assert failures.cause(within) == "KeyError in monitoring.metrics.totals"
    said = [r.getMessage() for r in caplog.records if r.name == "tick"]
    rows = failures.world.query("select f::text, c::text from ops.failed_runs as f cross join ops.failure_causes as c")
    assert "user-47-11" in failures.world.one("select string_agg(event, '') from dagster.event_logs")
    assert "user-47-11" not in f"{told}{said}{rows}"
    assert "Doe" not in f"{told}{said}{rows}"


class LosesWorkers(DefaultRunLauncher):
    """Its worker has died."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        return CheckRunHealthResult(WorkerStatus.FAILED, f"no worker has {run.run_id} any more")


class TakesNothing(DefaultRunLauncher):
    """The broker is away."""

    def launch_run(self, context: Any) -> None:
        raise BrokerError(f"the broker took no run: {MARKER} {context}")


class Ends(DefaultRunLauncher):
    """Ends whatever it is told to, at once."""

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        return CheckRunHealthResult(WorkerStatus.RUNNING, run.run_id)

    def terminate(self, run_id: str) -> bool:
        return bool(run_id)


def launch_by(failures: Failures, monkeypatch: pytest.MonkeyPatch, launcher: RunLauncher) -> None:
    launcher.register_instance(failures.instance)
    monkeypatch.setattr(type(failures.instance), "run_launcher", launcher)


def monitor(failures: Failures, run: dg.DagsterRun) -> None:
    """As run monitoring looks at a run that has begun."""
    record = failures.instance.get_run_record_by_id(run.run_id)
    assert record is not None
    run_monitoring.monitor_started_run(failures.instance, cast("Any", None), record, logging.getLogger("monitor"))


@services
def test_a_run_of_a_killed_worker_is_one_of_a_lost_worker_whoever_notices(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed, settled = failures.started(), failures.started()
    launch_by(failures, monkeypatch, LosesWorkers())
    monitor(failures, noticed)
    monkeypatch.setattr(celery_worker.app, "instance", failures.instance)
    settle = celery_worker._settle  # pyright: ignore[reportPrivateUsage] - the task without Celery
    settle(settled.run_id, f"its worker process ended: {MARKER}")
    failures.tick()
    assert failures.causes() == {("failing_within", "worker lost"): 2}


@services
def test_a_run_that_took_too_long_never_began_or_was_not_launched_says_so(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("monitor")
    slow, waiting = failures.started(), failures.instance.create_run_for_job(failing_within)
    ago = "update dagster.runs set start_time = start_time - 9000, create_timestamp = create_timestamp - interval '1 h'"
    failures.world.query(ago)
    launch_by(failures, monkeypatch, Ends())
    monkeypatch.setattr(type(failures.instance), "run_monitoring_max_runtime_seconds", 7200)
    monitor(failures, slow)
    record = failures.instance.get_run_record_by_id(waiting.run_id)
    assert record is not None
    run_monitoring.monitor_starting_run(failures.instance, record, log)
    launch_by(failures, monkeypatch, TakesNothing())
    sent = failures.instance.create_run_for_job(failing_within)
    with pytest.raises(BrokerError):
        failures.instance.launch_run(sent.run_id, cast("Any", None))
    by_hand = failures.started()
    failures.instance.report_run_failed(by_hand, MARKER)
    failures.tick()
    found = [failures.cause(run.run_id) for run in (slow, waiting, sent, by_hand)]
    assert found == ["max runtime", "not started", "launch failed: BrokerError", "marked as failed"]


@services
def test_a_run_that_was_canceled_or_ended_well_is_no_failure(failures: Failures) -> None:
    failures.instance.report_run_canceled(failures.started())
    assert failures.tick() == "no new failures"
    run = failures.fail()
    with failures.world.worker.postgres.connect("test") as connection:
        found = failures.sensor.find(connection)
        failures.world.query("update dagster.runs set status = 'SUCCESS' where run_id = %s", run)
        assert failures.sensor.count(connection, found, logging.getLogger("tick")) == []
    assert failures.causes() == {}


@services
def test_the_sensor_runs_from_the_start_and_says_in_the_ui_what_it_did(failures: Failures) -> None:
    defs = build_defs(failures.world.settings, failures.world.worker)
    sensor = defs.resolve_sensor_def("run_failures")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    failures.fail()
    with dg.build_sensor_context(instance=failures.instance, definitions=defs) as context:
        told = sensor.evaluate_tick(context).skip_message
    assert told is not None
    assert told.startswith("1 run of failing failed since ")


def no_log() -> logging.Logger:
    """Dagster makes an instance for it."""
    pytest.fail("the log was asked for although nothing is to be reported")


@services
def test_without_dagsters_tables_it_says_so_and_asks_for_no_log(services: Running) -> None:
    url = services.environment["MILLRACE_POSTGRES_URL"].rsplit("/", 1)[0] + "/template1"
    assert "another database" in RunFailures(Postgres(url)).tick(no_log)


def test_what_is_said_names_job_cause_number_and_since_when() -> None:
    at = datetime(2026, 6, 1, 12, tzinfo=UTC)
    two = [
        FailureCount("ingest", "worker lost", 3, at, "r", reported=True),
        FailureCount("refresh", "unknown", 1, at, "q", reported=False),
    ]
    assert explain(two, more=False) == (
        "3 runs of ingest failed since 2026-06-01 12:00:00: worker lost; reported. "
        "1 run of refresh failed since 2026-06-01 12:00:00: unknown"
    )
