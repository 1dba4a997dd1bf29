"""The sensor, tick by tick, on a real Dagster instance and real services."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from assets.ingest.plan import PlanLimits
from orchestration import definitions
from orchestration.definitions import build_defs
from sensors.kafka_offsets import KafkaOffsets, LaneRun, Looks, in_flight
from tests.support.world import World, encoded, event, out_of_balance

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = timedelta(seconds=30)


def test_a_young_run_holds_its_lane() -> None:
    assert in_flight([LaneRun("r", 3, NOW - timedelta(seconds=29))], set(), NOW, PATIENCE) == {3}


def test_a_run_without_progress_for_too_long_does_not() -> None:
    assert in_flight([LaneRun("r", 3, NOW - timedelta(seconds=31))], set(), NOW, PATIENCE) == set()


def test_an_old_run_that_still_commits_does() -> None:
    assert in_flight([LaneRun("r", 3, NOW - timedelta(hours=1))], {"r"}, NOW, PATIENCE) == {3}


class Clock:
    """Time that passes by waiting."""

    now = 0.0

    def __init__(self, *then: Callable[[], object]) -> None:
        self.then = list(then)

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.then:
            self.then.pop(0)()

    def looks(self, interval: int, held: int) -> Looks:
        return Looks(timedelta(seconds=interval), timedelta(seconds=held), self, self.wait)


@pytest.mark.parametrize(("interval", "held", "looks"), [(1, 3, 4), (1, 0, 1), (2, 3, 2), (10, 3, 1)])
def test_a_tick_that_finds_nothing_looks_again_while_it_is_held_open(interval: int, held: int, looks: int) -> None:
    seen: list[None] = []
    Clock().looks(interval, held).until(lambda _: False, lambda: seen.append(None))
    assert len(seen) == looks


def test_the_ticks_of_a_deployment_are_held_open(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(definitions, "_clients", tuple)
    monkeypatch.setattr(definitions, "build_defs", lambda **named: given.update(named))  # pyright: ignore
    definitions.served(None)
    assert timedelta(seconds=2) < given["held"] < timedelta(seconds=5)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class Ticks:
    """One sensor, evaluated as the daemon would."""

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        settings = world.settings.model_copy(update={"kafka_topics": (world.topic,), "lanes": 2})
        self.defs = build_defs(settings, world.worker)
        self.instance = instance
        self.sensor = self.defs.resolve_sensor_def("kafka_offsets")
        self.job = self.defs.resolve_job_def("ingest")

    def tick(self) -> tuple[list[dg.RunRequest], str | None]:
        with dg.build_sensor_context(instance=self.instance, definitions=self.defs) as context:
            data = self.sensor.evaluate_tick(context)
        return list(data.run_requests or []), data.skip_message

    def start(self, request: dg.RunRequest) -> dg.DagsterRun:
        """As launched, and nothing done yet."""
        return self.instance.create_run_for_job(
            self.job, run_config=request.run_config, tags=request.tags, status=dg.DagsterRunStatus.STARTED
        )

    def execute(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(
            run_config=request.run_config, tags=dict(request.tags), instance=self.instance
        )


@pytest.fixture
def ticks(world: World, instance: dg.DagsterInstance) -> Ticks:
    return Ticks(world, instance)


@pytest.mark.services
def test_an_empty_topic_makes_no_run(ticks: Ticks) -> None:
    assert ticks.tick() == ([], "everything is committed, or a run is at work on it")


def no_instance() -> dg.DagsterInstance:
    """Making one costs more than all the rest of a look."""
    pytest.fail("an instance of Dagster was made although there is no work")


@pytest.mark.services
def test_what_arrives_while_a_tick_is_held_open_is_requested_by_it_and_until_then_dagster_is_not_asked(
    world: World, instance: dg.DagsterInstance
) -> None:
    inputs = KafkaOffsets(world.worker.kafka, world.worker.postgres, (world.topic,), PlanLimits(1, 100), PATIENCE, "i")
    asked = iter([no_instance, no_instance, lambda: instance])
    clock = Clock(lambda: None, lambda: world.produce(encoded(event())))
    seen = clock.looks(1, 3).until(lambda seen: seen.plans, lambda: inputs.evaluate(next(asked)))
    assert ([plan.size for plan in seen.plans], clock.now) == ([1], 2)


@pytest.mark.services
def test_a_tick_requests_a_run_whose_config_is_the_plan_and_whose_queue_is_ingest(world: World, ticks: Ticks) -> None:
    world.produce(encoded(event(), event()))
    [request], _ = ticks.tick()
    [planned] = request.run_config["ops"]["ingest_ranges"]["config"]["ranges"]
    assert (planned["topic"], planned["partition"], planned["start"], planned["end"]) == (world.topic, 0, 0, 2)
    assert request.tags["dagster-celery/queue"] == "ingest"
    assert request.run_key is None


@pytest.mark.services
def test_nothing_of_an_event_is_in_the_run_config(world: World, ticks: Ticks) -> None:
    world.produce(encoded(event(payload={"userId": "somebody", "page": "/secret"})))
    [request], _ = ticks.tick()
    text = json.dumps(request.run_config)
    assert "somebody" not in text
    assert "secret" not in text


@pytest.mark.services
def test_a_lane_with_a_run_at_work_is_skipped(world: World, ticks: Ticks) -> None:
    world.produce(encoded(event()))
    [request], _ = ticks.tick()
    ticks.start(request)
    assert ticks.tick()[0] == []


@pytest.mark.services
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_lane_with_a_run_at_work_is_skipped_whatever_the_daemon_s_clock_says(
    hours: int, world: World, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon whose clock is ahead would request another run for each lane at every tick."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=hours)

    world.produce(encoded(event()))
    [request], _ = ticks.tick()
    ticks.start(request)
    monkeypatch.setattr("sensors.kafka_offsets.datetime", Wrong)
    assert ticks.tick()[0] == []


@pytest.mark.services
def test_a_failed_run_does_not_block_its_range(world: World, ticks: Ticks) -> None:
    world.produce(encoded(event()))
    [request], _ = ticks.tick()
    ticks.instance.report_run_failed(ticks.start(request))
    [again], _ = ticks.tick()
    assert again.run_config == request.run_config


@pytest.mark.services
def test_a_replay_at_work_is_no_reason_to_wait(world: World, ticks: Ticks) -> None:
    world.produce(encoded(event()))
    [request], _ = ticks.tick()
    first = ticks.execute(request)
    ticks.instance.create_run_for_job(
        ticks.job,
        run_config=request.run_config,
        tags=request.tags,
        status=dg.DagsterRunStatus.STARTED,
        parent_run_id=first.run_id,
        root_run_id=first.run_id,
    )
    world.produce(encoded(event()))
    assert len(ticks.tick()[0]) == 1


@pytest.mark.services
def test_ticks_and_runs_store_everything_once(world: World, ticks: Ticks) -> None:
    world.produce([*encoded(event(), event()), b"garbage", None])
    for _ in range(3):
        for request in ticks.tick()[0]:
            result = ticks.execute(request)
            assert result.success
            [made] = result.asset_materializations_for_node("ingest_ranges")[:1]
            assert made.metadata["stored"].value == 2
    assert ticks.tick()[0] == []
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.services
def test_materialize_without_config_ends_well_and_says_that_it_did_nothing(ticks: Ticks) -> None:
    result = ticks.job.execute_in_process(instance=ticks.instance)
    [made] = result.asset_materializations_for_node("ingest_ranges")[:1]
    assert result.success
    assert "nothing to do" in str(made.metadata["ended"].value)


@pytest.mark.services
def test_a_missing_topic_is_said_clearly(world: World, instance: dg.DagsterInstance) -> None:
    world.topic = "no-such-topic"
    requests, why = Ticks(world, instance).tick()
    assert requests == []
    assert "Kafka has no topic no-such-topic" in (why or "")
    assert "MILLRACE_KAFKA_CREATE_TOPICS" in (why or "")
