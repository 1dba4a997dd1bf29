"""The engine as a whole, on real services: what it promises when all is well and when something is killed.

One rig for all tests, which follow each other as a bad day does; each leaves it healthy.
"""

import base64
import itertools
import json
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psutil
import pytest
from celery import Celery
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from kombu.messaging import Producer

from orchestration.dagster_runtime import health
from orchestration.dagster_runtime.launcher import BrokerError, WarmRunLauncher
from tests.dagster_runtime.rig import MILLRACE, Rig, eventually, rig, status
from tests.dagster_runtime.sample_definitions import default_queue_job, slow_job, trivial_job

pytestmark = pytest.mark.services

MAXMEMORY = "CONFIG SET maxmemory"
SUCCESS, FAILURE, CANCELED = DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest.fixture(scope="module")
def instance(engine: Rig) -> Iterator[DagsterInstance]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in engine.environment.items():
            patch.setenv(name, value)
        with DagsterInstance.get() as made:
            yield made


def becomes(instance: DagsterInstance, run: DagsterRun, wanted: DagsterRunStatus, seconds: float) -> None:
    eventually(lambda: status(instance, run) == wanted, seconds, f"{run.job_name} becomes {wanted.value}")


def succeeds(engine: Rig, instance: DagsterInstance, seconds: float = 30) -> None:
    becomes(instance, engine.launch(instance, trivial_job), SUCCESS, seconds)


def requested_by_the_sensor(instance: DagsterInstance, since: datetime) -> Callable[[], bool]:
    wanted = RunsFilter(job_name="trivial_job", statuses=[SUCCESS], created_after=since)
    return lambda: any("dagster/sensor_name" in run.tags for run in instance.get_runs(wanted))


def busy_child(engine: Rig, instance: DagsterInstance, run: DagsterRun) -> psutil.Process:
    """The child that executes a run, as the run's own log tells."""
    becomes(instance, run, DagsterRunStatus.STARTED, 30)
    messages = [e.message for e in instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT)]
    pid = next(int(m.split("pid: ")[1].split(")")[0]) for m in messages if "Started process for run" in m)
    return psutil.Process(pid)


def test_many_runs_end_well_and_connections_stay_few(
    engine: Rig, instance: DagsterInstance, record_property: Callable[[str, object], None]
) -> None:
    took: list[float] = []
    for _ in range(20):
        began = time.perf_counter()
        run = engine.launch(instance, trivial_job)
        while status(instance, run) != SUCCESS:
            time.sleep(0.005)
            assert time.perf_counter() - began < 120
        took.append(time.perf_counter() - began)
    record_property("request_to_end_median_seconds", round(statistics.median(took), 3))
    assert engine.connections() <= 16  # this process, two children, the daemon's threads; stock: 69 for each run


def test_the_sensor_ticks_every_second(
    instance: DagsterInstance, record_property: Callable[[str, object], None]
) -> None:
    state = eventually(instance.all_instigator_state, 30, "the sensor's state")[0]

    def shortest() -> float:
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=6)
        return min((b.timestamp - a.timestamp for b, a in itertools.pairwise(ticks)), default=60.0)

    # Stock comes to a sensor every 5 s. A busy machine skips some seconds, not all of a minute.
    eventually(lambda: shortest() < 1.5, 60, "a tick a second after another")
    record_property("between_ticks_shortest_seconds", round(shortest(), 3))
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=6)
    assert ticks[1].status.value == "SUCCESS"


def healthy(engine: Rig, *role: str) -> bool:
    """What a container's health check would find."""
    done = subprocess.run([*MILLRACE, "health", *role], env=engine.environment, capture_output=True, text=True)
    assert len((done.stdout + done.stderr).splitlines()) == 1
    assert done.returncode in (0, 1)
    return done.returncode == 0


def test_health_checks_say_who_does_its_work_and_who_does_not(engine: Rig) -> None:
    assert healthy(engine, "worker", "ingest")
    assert healthy(engine, "code-server")
    eventually(lambda: healthy(engine, "daemon"), 30, "the daemon is healthy")
    assert not healthy(engine, "worker", "nobody-serves-it")
    assert not healthy(engine, "webserver", "--port", "9")
    with pytest.raises(health.UnhealthyError, match="heartbeat is"):
        health.ask_daemon(engine.environment["MILLRACE_POSTGRES_URL"], datetime.now(UTC) + timedelta(seconds=61))
    for name, role in (("ingest", ("worker", "ingest")), ("code", ("code-server",))):
        engine.processes[name].suspend()
        assert not healthy(engine, *role)
        engine.processes[name].resume()
        eventually(partial(healthy, engine, *role), 30, f"{name} is healthy again")


def test_a_lost_message_ends_its_run_and_a_run_that_waits_its_turn_waits(
    engine: Rig, instance: DagsterInstance
) -> None:
    """Nobody serves the default queue here."""
    lost = engine.launch(instance, default_queue_job)
    engine.broker().flushall()
    waiting = engine.launch(instance, default_queue_job)
    becomes(instance, lost, FAILURE, 90)
    time.sleep(3)
    assert status(instance, waiting) == DagsterRunStatus.STARTING
    assert instance.run_launcher.terminate(waiting.run_id)
    assert status(instance, waiting) == CANCELED


def test_what_strangers_put_into_the_broker_stops_no_run_and_hides_none(engine: Rig, instance: DagsterInstance) -> None:
    waiting = engine.launch(instance, default_queue_job)
    launcher = instance.run_launcher
    assert isinstance(launcher, WarmRunLauncher)
    before = launcher.run_tracker.waiting("default")
    strange = [b"no json", b"7", b"[]", b'{"headers": 7}', b'{"headers": {"id": {}}}', b"[" * 100_000, b"\xff"]
    worker = engine.processes["ingest"].pid
    at_work = engine.launch(instance, slow_job, seconds=1.0)
    busy_child(engine, instance, at_work)
    engine.broker().rpush("default", *strange)  # nobody serves it here
    engine.broker().hset("unacked", mapping={f"x{n}": each for n, each in enumerate(strange)})
    try:
        assert waiting.run_id in before == launcher.run_tracker.waiting("default")
        for command, arguments in {"pool_grow": {"n": 50}, "pool_shrink": {"n": 2}, "no\nsuch": {}}.items():
            launcher.run_tracker.celery.control.broadcast(command, arguments=arguments)
        for name, id_ in (("celery.chord_unlock", "a"), ("millrace.settle_run", "b\nERROR forged"), ("x", "c")):
            launcher.run_tracker.celery.send_task(name, args=[], task_id=id_, queue="ingest")
        engine.broker().lpush("ingest", *strange, *(sent(**headers) for headers in HEADERS))
        for order in ORDERS:
            send_order(launcher.run_tracker.celery, order)
        becomes(instance, at_work, SUCCESS, 30)
        succeeds(engine, instance)
    finally:
        engine.broker().delete("default", "unacked")
        launcher.terminate(waiting.run_id)
    assert [line for line in engine.log("ingest").splitlines() if line.startswith("ERROR forged")] == []
    assert engine.processes["ingest"].pid == worker
    assert engine.processes["ingest"].is_running()
    assert len(engine.processes["ingest"].children()) == 2, "as many as it was started with"


# What Celery takes for granted of a task, and of a command.
HEADERS: tuple[dict[str, Any], ...] = (
    {"timelimit": 7}, {"eta": "garbage"}, {"expires": [1]}, {"id": {"a": 1}}, {"task": ["x"]}, {"retries": "x"},
    {"stamped_headers": 7, "stamps": 7}, {"group": {}}, {"eta": "0001-01-01T00:00:00+14:00"}, {"args": "nope"},
)  # fmt: skip
ORDERS: tuple[dict[str, Any], ...] = (
    {"method": 7}, {"method": "ping", "destination": 7}, {"method": "ping", "reply_to": 7}, {"method": "pool_grow"},
    {"method": "revoke", "arguments": {"task_id": {"a": 1}}}, {"method": "millrace_interrupt", "arguments": {}},
)  # fmt: skip


def sent(**headers: Any) -> bytes:
    """A message of a task as it lies in a queue."""
    body = base64.b64encode(json.dumps(headers.pop("args", [["no-run"], {}, {}])).encode()).decode()
    place = {"delivery_info": {"exchange": "", "routing_key": "ingest"}, "delivery_tag": uuid.uuid4().hex}
    return json.dumps(
        {
            "body": body,
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"task": "millrace.execute_run", "id": "no-run", **headers},
            "properties": {**place, "body_encoding": "base64", "correlation_id": "x", "delivery_mode": 2},
        }
    ).encode()


def send_order(celery: Celery, order: dict[str, Any]) -> None:
    with celery.connection_for_write() as connection:
        everybody: Any = celery.control.mailbox.exchange
        Producer(connection.default_channel).publish(order, exchange=everybody.name, routing_key="", serializer="json")


def test_a_canceled_run_ends_as_canceled(engine: Rig, instance: DagsterInstance) -> None:
    for _ in range(3):  # more than there are children: a run changes signal handlers, and the next must not notice
        run = engine.launch(instance, slow_job, seconds=60.0)
        child = busy_child(engine, instance, run)
        time.sleep(0.3)
        assert instance.run_coordinator.cancel_run(run.run_id)
        eventually(lambda r=run: status(instance, r) in (SUCCESS, FAILURE, CANCELED), 30, "the run ends")
        assert status(instance, run) == CANCELED
        assert child.is_running()
    succeeds(engine, instance)


def test_a_run_whose_child_is_killed_fails_at_once_and_later_runs_succeed(
    engine: Rig, instance: DagsterInstance
) -> None:
    run = engine.launch(instance, slow_job, seconds=60.0)
    busy_child(engine, instance, run).kill()
    becomes(instance, run, FAILURE, 5)
    succeeds(engine, instance)


def test_runs_succeed_again_by_themselves_after_the_broker_was_killed_and_emptied(
    engine: Rig, instance: DagsterInstance
) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, WarmRunLauncher)
    engine.services.kill("broker")
    assert not launcher.broker_answers()
    with pytest.raises(BrokerError, match="the broker took no run for the queue 'ingest'"):
        engine.launch(instance, trivial_job)
    time.sleep(3)
    engine.services.start("broker")
    assert launcher.broker_answers()
    engine.broker().flushall()
    eventually(requested_by_the_sensor(instance, datetime.now(UTC)), 30, "a run of the sensor succeeds")
    engine.broker().flushall()
    succeeds(engine, instance, 5)
    run = engine.launch(instance, slow_job, seconds=60.0)
    busy_child(engine, instance, run)
    assert instance.run_coordinator.cancel_run(run.run_id), "workers take orders again, too"
    becomes(instance, run, CANCELED, 30)


def test_a_run_at_work_survives_a_restart_of_the_broker(engine: Rig, instance: DagsterInstance) -> None:
    run = engine.launch(instance, slow_job, seconds=40.0)
    becomes(instance, run, DagsterRunStatus.STARTED, 30)
    engine.services.kill("broker")
    engine.services.start("broker")
    engine.broker().flushall()
    becomes(instance, run, SUCCESS, 90)
    messages = [entry.message for entry in instance.all_logs(run.run_id)]
    assert not [message for message in messages if "no worker has this run" in message]


def test_a_worker_outlives_a_broker_that_takes_no_writes_and_so_does_its_run(
    engine: Rig, instance: DagsterInstance
) -> None:
    """A replica after a failover, and one that is full: a worker that ended on it would end its runs as well."""
    run = engine.launch(instance, slow_job, seconds=20.0)
    becomes(instance, run, DagsterRunStatus.STARTED, 30)
    worker, launcher = engine.processes["ingest"], instance.run_launcher
    assert isinstance(launcher, WarmRunLauncher)
    for refuse, undo in (("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"), (f"{MAXMEMORY} 1", f"{MAXMEMORY} 512mb")):
        engine.broker().execute_command(*refuse.split())
        assert launcher.refused("ingest")
        with pytest.raises(BrokerError, match=r"\((READONLY|OOM)\)"):
            engine.launch(instance, trivial_job)
        time.sleep(4)
        engine.broker().execute_command(*undo.split())
        assert launcher.refused("ingest") is None
    becomes(instance, run, SUCCESS, 60)
    assert worker.is_running()
    succeeds(engine, instance)


def test_a_hung_broker_fails_a_launch(engine: Rig, instance: DagsterInstance) -> None:
    engine.services.pause("broker")
    began = time.monotonic()
    try:
        with pytest.raises(BrokerError):
            engine.launch(instance, trivial_job)
    finally:
        engine.services.resume("broker")
    assert time.monotonic() - began < 120, "it does not wait for the broker for ever"
    succeeds(engine, instance)


def test_postgres_is_killed_and_comes_back_and_everybody_goes_on(engine: Rig, instance: DagsterInstance) -> None:
    engine.services.kill("postgres")
    engine.services.start("postgres")
    eventually(requested_by_the_sensor(instance, datetime.now(UTC)), 30, "a run of the sensor succeeds")
    succeeds(engine, instance)
    assert engine.connections() <= 16


def test_a_run_whose_whole_worker_is_killed_fails_when_the_worker_is_back(
    engine: Rig, instance: DagsterInstance
) -> None:
    run = engine.launch(instance, slow_job, seconds=60.0)
    child = busy_child(engine, instance, run)
    engine.kill("ingest")
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 30, "its children end with it")
    engine.start_worker()
    becomes(instance, run, FAILURE, 90)
    succeeds(engine, instance)


def test_a_worker_that_is_asked_to_end_finishes_its_run(engine: Rig, instance: DagsterInstance) -> None:
    run = engine.launch(instance, slow_job, seconds=2.0)
    busy_child(engine, instance, run)
    engine.stop("ingest")
    assert status(instance, run) == SUCCESS


def test_the_daemon_ends_when_it_is_asked_to(engine: Rig) -> None:
    assert engine.stop("daemon") == 0
