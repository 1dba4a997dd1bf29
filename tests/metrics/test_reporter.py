"""What is told while things fail, restart and race: the reporter, the push after a run, and the sensor."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta

import dagster as dg
import pytest

from monitoring.metrics.collect.counters import locked
from monitoring.metrics.collect.snapshot import Snapshot
from monitoring.metrics.families import Samples
from monitoring.metrics.push import REST_SECONDS, Pusher, grouping
from monitoring.metrics.reporter import MetricsReporter
from monitoring.metrics.resource import OFF, Metrics
from monitoring.metrics.totals import Totals
from orchestration.definitions import build_defs
from resources import locks
from resources.pushgateway import Pushgateway
from tests.metrics.support import Gateway, answers, hostile, metrics_of
from tests.support.world import LOG, World, encoded, event

Make = Callable[..., Metrics]
LOGGER = "millrace.metrics"


@pytest.fixture
def make(world: World, gateway: Gateway) -> Iterator[Make]:
    """Metrics of processes that share nothing."""
    made: list[Metrics] = []

    def one(**changes: object) -> Metrics:
        made.append(metrics_of(world, gateway, **changes))
        return made[-1]

    yield one
    for each in made:
        each.close()


def reporter_of(metrics: Metrics) -> MetricsReporter:
    assert metrics.reporter is not None
    return metrics.reporter


def pusher_of(metrics: Metrics) -> Pusher:
    assert metrics.pusher is not None
    return metrics.pusher


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@contextmanager
def in_background(*works: Callable[[], None]) -> Generator[None]:
    """Each again and again in a thread of its own; whatever one raises is raised."""
    ended, failures = threading.Event(), list[BaseException]()

    def loop(work: Callable[[], None]) -> None:
        try:
            while not ended.is_set():
                work()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=loop, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.mark.services
def test_no_counter_ever_becomes_less_whoever_pushes_and_whatever_restarts(
    world: World, gateway: Gateway, make: Make
) -> None:
    connection, second = world.worker.postgres.connect("test"), world.worker.postgres.connect("test")

    def count(lane: int) -> None:
        totals = Totals()
        totals.count("millrace_events_total", "stored", "login", by=7)
        totals.count("millrace_batches_total", "committed")
        totals.observe("millrace_batch_seconds", [0.01, 3.0], "store")
        totals.write((connection, second)[lane], lane)

    def restarting(lane: int) -> Callable[[], None]:
        kept = [make()]

        def push() -> None:
            for _ in range(20):
                kept[0].after_run(lane, LOG)
            kept[0] = make()

        return push

    falls: list[object] = []
    with in_background(lambda: count(0), lambda: count(1), restarting(0), restarting(1)):
        before, until, changes = dict(gateway.counters()), time.monotonic() + 3, 0
        while time.monotonic() < until:
            now = gateway.counters()
            falls += [(name, value, now.get(name)) for name, value in before.items() if now.get(name, -1) < value]
            changes += now != before
            before = dict(now)
    assert falls == []
    assert changes > 20
    make().after_run(0, LOG)
    stored = world.one("select sum(amount) from ops.totals where metric = 'millrace_events_total'")
    assert gateway.get("millrace_events_total", outcome="stored", type="login") == stored
    connection.close()
    second.close()


@pytest.mark.services
def test_who_does_not_get_the_lock_leaves_it_and_nobody_holds_it_for_long(
    world: World, gateway: Gateway, make: Make
) -> None:
    holder, publisher = make(), reporter_of(make()).publisher
    with reporter_of(holder).publisher.database.asking() as connection:
        connection.execute("begin")
        connection.execute("select pg_advisory_xact_lock(%s)", (locks.METRICS,))
        assert publisher.publish() is None
        assert gateway.get("millrace_gap_offsets_total") is None
    assert publisher.publish() is True
    with publisher.database.asking() as connection:
        assert locked(connection)
        assert connection.execute("show idle_in_transaction_session_timeout").fetchall() == [("5s",)]
    assert gateway.get("millrace_gap_offsets_total") == 0


@pytest.mark.services
def test_a_lane_that_is_gone_disappears(world: World, gateway: Gateway, make: Make) -> None:
    for lane in (0, 1):
        world.produce(encoded(event()))
        world.ingest(lane=lane)
    gateways = gateway.patient()
    gateways.push(grouping("lane", 7), [])
    gateways.push({"job": "backup", "lane": "7"}, [])
    reporter_of(make(lanes=2)).turn()
    assert gateway.get("millrace_lane_records_total", lane="1") == 1
    reporter_of(make(lanes=1)).turn()
    assert gateway.get("millrace_lane_records_total", lane="1") is None
    assert gateway.get("millrace_lane_records_total", lane="0") == 1
    assert sorted(each.get("lane", "") for each in gateways.groups()) == ["", "", "", "", "", "0", "7"]


class Job:
    """A job of the real definitions, executed here."""

    def __init__(self, world: World, metrics: Metrics, name: str) -> None:
        self.defs = build_defs(world.settings, world.worker, world.aggregates, metrics)
        self.job, self.sensor = self.defs.resolve_job_def(name), self.defs.resolve_sensor_def("kafka_offsets")

    def run(self) -> bool:
        with dg.DagsterInstance.ephemeral() as instance:
            with dg.build_sensor_context(instance=instance, definitions=self.defs) as context:
                requests = self.sensor.evaluate_tick(context).run_requests or []
            config = requests[0].run_config if requests and self.job.name == "ingest" else {}
            return self.job.execute_in_process(run_config=config, instance=instance, raise_on_error=False).success


@pytest.mark.services
def test_a_run_pushes_what_it_did_and_a_refresh_too(world: World, gateway: Gateway, make: Make) -> None:
    world.produce(encoded(event(), event()))
    assert Job(world, make(), "ingest").run()
    assert gateway.get("millrace_events_total", outcome="stored", type="page_view") == 2
    assert gateway.get("millrace_lane_records_total") == 2
    totals = Totals()
    totals.count("millrace_redrives_total", "stored", by=3)
    with world.worker.postgres.connect("test") as connection:
        totals.write(connection, -1)
    assert Job(world, make(), "refresh_aggregates").run()
    assert gateway.get("millrace_redrives_total", result="stored") == 3


@pytest.mark.services
def test_a_run_that_fails_pushes_all_the_same(
    world: World, gateway: Gateway, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("it fails")

    monkeypatch.setattr("assets.ingest.asset.ingest", fails)
    world.produce(encoded(event()))
    assert not Job(world, make(), "ingest").run()
    assert gateway.get("millrace_events_total", outcome="stored", type="page_view") == 0


@pytest.mark.services
@pytest.mark.parametrize("how", ["down", "frozen", "refusing"])
def test_a_pushgateway_in_trouble_costs_one_warning_and_a_counter_and_never_a_run(
    world: World, gateway: Gateway, make: Make, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    metrics = make()
    reason = {"down": "unreachable", "frozen": "timeout", "refusing": "refused"}[how]
    with trouble(gateway, metrics, how):
        for _ in range(3):
            world.produce(encoded(event()))
            assert Job(world, metrics, "ingest").run()
    assert capfd.readouterr().err.count("the Pushgateway fails") == 1  # in the log of the run that found it
    pusher_of(metrics).clock = lambda: time.monotonic() + REST_SECONDS
    reporter_of(metrics).publisher.publish()
    told = gateway.get("millrace_push_failures_total", reason=reason)
    assert told is not None
    assert 1 <= told <= 2  # of a server that refuses, each group is refused by itself
    assert gateway.get("millrace_lane_records_total") == 3


@contextmanager
def trouble(gateway: Gateway, metrics: Metrics, how: str) -> Generator[None]:
    if how == "down":
        gateway.stop()
        yield
        gateway.start()
    elif how == "frozen":
        pusher_of(metrics).gateway = Pushgateway(gateway.url)  # with the patience that it has in production
        with gateway.frozen():
            yield
        pusher_of(metrics).gateway = gateway.patient()
    else:
        pusher = pusher_of(metrics)
        with hostile(answers("400 Bad Request")) as server:
            pusher.gateway, real = Pushgateway(f"http://127.0.0.1:{server.port}"), pusher.gateway
            yield
            pusher.gateway = real


@pytest.mark.services
@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_while_postgresql_is_away_health_says_so_and_lag_goes_on(
    world: World, gateway: Gateway, make: Make, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    reporter = reporter_of(make(metrics_interval=timedelta(0)))
    world.produce(encoded(event()))
    world.ingest()
    reporter.turn()
    assert gateway.get("millrace_dependency_up", dependency="postgres") == 1
    try:
        world.services.stop("postgres") if how == "stopped" else world.services.pause("postgres")
        world.produce(encoded(event(), event()), timestamp=int((time.time() - 500) * 1000))
        for _ in range(2 if how == "stopped" else 1):
            reporter.turn()
        assert gateway.get("millrace_dependency_up", dependency="postgres") == 0
        assert gateway.get("millrace_dependency_up", dependency="kafka") == 1
        assert gateway.get("millrace_consumer_lag_events", topic=world.topic) == 2
        assert 499 < (gateway.get("millrace_oldest_unread_seconds") or 0) < 520
        assert len(warnings(caplog)) == 1
    finally:
        world.services.start("postgres") if how == "stopped" else world.services.resume("postgres")
    reporter.turn()
    assert gateway.get("millrace_dependency_up", dependency="postgres") == 1
    assert "Not pushed" not in reporter.explain()


@pytest.mark.services
def test_kafka_and_redis_that_are_away_are_told_and_the_rest_goes_on(
    world: World, gateway: Gateway, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.kafka._REQUEST_SECONDS", 1.0)
    away = {"redis_url": "redis://127.0.0.1:9", "kafka_bootstrap_servers": "127.0.0.1:9"}
    reporter = reporter_of(make(**away))
    reporter.turn()
    up = {name: gateway.get("millrace_dependency_up", dependency=name) for name in ("kafka", "redis", "broker")}
    assert up == {"kafka": 0, "redis": 0, "broker": 1}
    assert gateway.get("millrace_dedup_degraded") == 1
    assert gateway.get("millrace_queue_depth", queue="ingest") == 0
    assert gateway.get("millrace_redis_memory_bytes", server="claims") is None
    assert "Not pushed: lag: Kafka does not answer" in reporter.explain()


@pytest.mark.services
def test_a_batch_that_did_without_redis_is_told_although_redis_answers(
    world: World, gateway: Gateway, make: Make
) -> None:
    reporter = reporter_of(make(metrics_interval=timedelta(0)))
    world.produce(encoded(event()))
    world.ingest(world.another_worker(redis_url="redis://127.0.0.1:9"))
    reporter.turn()
    assert gateway.get("millrace_dedup_degraded") == 1
    world.produce(encoded(event()))
    world.ingest()
    reporter.turn()
    assert gateway.get("millrace_dedup_degraded") == 0


@pytest.mark.services
def test_a_group_that_fails_costs_itself_and_one_warning(
    world: World, gateway: Gateway, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    reporter = reporter_of(make(metrics_interval=timedelta(0)))
    whole = dict(reporter.collectors)

    def broken(_: Snapshot) -> Samples:
        raise KeyError("secret")

    reporter.collectors = {**whole, "state": broken}
    for _ in range(3):
        reporter.turn()
    assert warnings(caplog) == ["metrics: the group state is not pushed: KeyError"]
    assert gateway.get("millrace_database_bytes") is not None
    reporter.collectors = whole
    caplog.set_level(logging.INFO, LOGGER)
    reporter.turn()
    assert "pushed again" in caplog.text
    assert gateway.get("millrace_aggregate_waiting_events") == 0


@pytest.mark.services
def test_the_sensor_starts_one_thread_and_says_what_it_pushed(world: World, gateway: Gateway, make: Make) -> None:
    metrics = make(metrics_interval=timedelta(seconds=0.1))
    defs = build_defs(world.settings, world.worker, world.aggregates, metrics)
    sensor = defs.resolve_sensor_def("metrics")

    def tick() -> str:
        with dg.build_sensor_context(definitions=defs) as context:
            found = sensor.evaluate_tick(context)
        assert not found.run_requests
        return found.skip_message or ""

    assert tick() == "the first push is under way"
    until = time.monotonic() + 10
    while "storage" not in (said := tick()) and time.monotonic() < until:
        time.sleep(0.05)
    assert said.startswith("pushed health 0 s ago, lag ")
    assert len([thread for thread in threading.enumerate() if thread.name == "metrics"]) == 1
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    metrics.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "metrics"]


@pytest.mark.services
def test_without_a_pushgateway_metrics_are_off_and_the_sensor_says_how_to_turn_them_on(world: World) -> None:
    defs = build_defs(world.settings.model_copy(update={"pushgateway_url": None}), world.worker, world.aggregates)
    with dg.build_sensor_context(definitions=defs) as context:
        assert defs.resolve_sensor_def("metrics").evaluate_tick(context).skip_message == OFF
