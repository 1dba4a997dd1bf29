"""The sensor of the aggregates, tick by tick, on a real Dagster instance and a real database."""

import json
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest

from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.specs import asset_key
from assets.aggregates.view_specs import view_keys
from orchestration.definitions import build_defs
from sensors.dirty_buckets import Waiting, believed, due, explain
from tests.support.world import World, encoded, event

PATIENCE, TIMEOUT = timedelta(seconds=5), timedelta(seconds=60)


def waiting(seconds: float | None, *, at_work: bool = False) -> Waiting:
    return Waiting(1, 10, 1, None if seconds is None else timedelta(seconds=seconds), at_work)


@pytest.mark.parametrize(("seconds", "expected"), [(None, False), (4.9, False), (5.0, True), (600.0, True)])
def test_a_run_is_due_when_the_oldest_mark_has_waited_for_long_enough(seconds: float | None, expected: bool) -> None:
    assert due(waiting(seconds), PATIENCE) is expected


def test_a_young_run_is_believed_and_an_old_one_only_while_somebody_writes() -> None:
    young, old = timedelta(seconds=59), timedelta(seconds=61)
    assert believed([young], waiting(9), TIMEOUT)
    assert not believed([old], waiting(9), TIMEOUT)
    assert believed([old], waiting(9, at_work=True), TIMEOUT)
    assert not believed([], waiting(9, at_work=True), TIMEOUT)


def test_what_is_said_teaches() -> None:
    assert "empty" in explain(waiting(None), PATIENCE, in_flight=False)
    assert "MILLRACE_FRESHNESS" in explain(waiting(2), PATIENCE, in_flight=False)
    assert "at work" in explain(waiting(9), PATIENCE, in_flight=True)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class Ticks:
    """The sensor, evaluated as the daemon would."""

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        self.world, self.instance = world, instance
        self.defs = build_defs(world.settings, world.worker, world.aggregates)
        self.sensor = self.defs.resolve_sensor_def("dirty_buckets")
        self.job = self.defs.resolve_job_def("refresh_aggregates")

    def tick(self) -> tuple[list[dg.RunRequest], str]:
        with dg.build_sensor_context(instance=self.instance, definitions=self.defs) as context:
            data = self.sensor.evaluate_tick(context)
        return list(data.run_requests or []), data.skip_message or ""

    def age(self, seconds: int) -> None:
        """Let the marks have waited for so much longer."""
        self.world.query("update ops.dirty_buckets set marked_at = marked_at - make_interval(secs => %s)", seconds)

    def start(self, request: dg.RunRequest) -> dg.DagsterRun:
        return self.instance.create_run_for_job(self.job, tags=request.tags, status=dg.DagsterRunStatus.STARTED)

    def execute(self) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(instance=self.instance)


@pytest.fixture
def ticks(world: World, instance: dg.DagsterInstance) -> Ticks:
    world.produce(encoded(event(payload={"userId": "somebody", "page": "/secret"}), event()))
    world.ingest()
    return Ticks(world, instance)


@pytest.mark.services
def test_new_events_are_taken_in_by_one_run_of_the_aggregates_queue(ticks: Ticks) -> None:
    assert ticks.tick()[0] == []
    ticks.age(5)
    [request], _ = ticks.tick()
    assert request.tags["dagster-celery/queue"] == "aggregates"
    assert request.tags["millrace/events"] == "2"
    assert request.run_key is None
    assert ticks.execute().success
    assert ticks.world.one("select sum(events)::int from analytics.events_hourly") == 2
    assert ticks.tick() == ([], "every table is settled: ops.dirty_buckets is empty")


@pytest.mark.services
def test_while_a_run_is_at_work_no_other_is_requested_until_it_has_ended_or_is_not_believed(ticks: Ticks) -> None:
    ticks.age(5)
    [request], _ = ticks.tick()
    run = ticks.start(request)
    requests, why = ticks.tick()
    assert (requests, "at work" in why) == ([], True)
    ticks.instance.report_run_failed(run)
    assert len(ticks.tick()[0]) == 1


@pytest.mark.services
def test_a_run_that_a_killed_worker_left_behind_is_not_waited_for(ticks: Ticks) -> None:
    ticks.age(5)
    ticks.start(ticks.tick()[0][0])
    settings = ticks.world.settings.model_copy(update={"progress_timeout": timedelta(0)})
    ticks.sensor = build_defs(settings, ticks.world.worker, ticks.world.aggregates).resolve_sensor_def("dirty_buckets")
    assert len(ticks.tick()[0]) == 1


@pytest.mark.services
def test_a_refresh_shows_every_table_and_nobody_s_id(ticks: Ticks) -> None:
    result = ticks.execute()
    made = {
        each.asset_key.to_user_string(): each for each in result.asset_materializations_for_node("merge_new_events")
    }
    assert set(made) == {key.to_user_string() for key in (*map(asset_key, AGGREGATES), *view_keys())}
    assert made["analytics/events_hourly"].metadata["dagster/row_count"].value == 1
    assert "| hour | type | events | users |" in str(made["analytics/events_hourly"].metadata["newest_rows"].value)
    assert made["analytics/sessions"].metadata["events_taken_in"].value == 2
    shown = json.dumps([[str(value.value) for value in each.metadata.values()] for each in made.values()])
    assert "somebody" not in shown
    assert "u1" not in shown


@pytest.mark.services
def test_a_run_that_a_person_starts_when_nothing_waits_ends_well_and_shows_nothing(ticks: Ticks) -> None:
    ticks.world.refresh()
    result = ticks.execute()
    assert result.success
    assert list(result.asset_materializations_for_node("merge_new_events")) == []
