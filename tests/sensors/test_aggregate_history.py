"""The sensor that has missing days rebuilt, tick by tick, on a real Dagster instance and a real database."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest

from assets.aggregates import asset_metadata, history
from assets.aggregates.funnel import Funnel, FunnelStep
from orchestration.definitions import build_defs
from sensors.aggregate_history import LastRun, why_not
from tests.support.world import World, encoded, event

MINUTE = timedelta(minutes=1)
LACKS = "sessions lacks 3 days"


@pytest.mark.parametrize(
    ("lacking", "last", "said"),
    [
        ("", None, "whole"),
        (LACKS, LastRun(unfinished=True, failed=False, age=119 * MINUTE), "at work"),
        (LACKS, LastRun(unfinished=False, failed=True, age=9 * MINUTE), "failed"),
    ],
)
def test_no_run_is_requested_where_nothing_is_missing_or_a_run_is_there_or_has_just_failed(
    lacking: str, last: LastRun | None, said: str
) -> None:
    assert said in (why_not(lacking, last) or "")


@pytest.mark.parametrize(
    "last",
    [
        None,
        LastRun(unfinished=False, failed=False, age=MINUTE),
        LastRun(unfinished=False, failed=True, age=11 * MINUTE),
        LastRun(unfinished=True, failed=False, age=121 * MINUTE),
    ],
)
def test_a_run_is_requested_for_what_is_missing(last: LastRun | None) -> None:
    assert why_not(LACKS, last) is None


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def tick(world: World, instance: dg.DagsterInstance) -> tuple[list[dg.RunRequest], str]:
    defs = build_defs(world.settings, world.worker, world.aggregates)
    with dg.build_sensor_context(instance=instance, definitions=defs) as context:
        data = defs.resolve_sensor_def("aggregate_history").evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message or ""


def run(world: World, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    defs = build_defs(world.settings, world.worker, world.aggregates)
    return defs.resolve_job_def("fill_history").execute_in_process(instance=instance)


@pytest.mark.services
def test_a_table_that_an_upgrade_made_is_filled_by_runs_of_the_default_queue(
    world: World, instance: dg.DagsterInstance
) -> None:
    world.produce(encoded(event(), event()))
    world.ingest()
    world.refresh()
    assert tick(world, instance) == ([], "every table is whole")
    world.query("delete from analytics.sessions")
    world.query("delete from ops.aggregate_history where name = 'sessions'")
    [request], _ = tick(world, instance)
    assert "dagster-celery/queue" not in request.tags
    assert run(world, instance).success
    assert tick(world, instance) == ([], "every table is whole")
    assert world.one("select sum(events)::int from analytics.sessions") == 2
    assert world.query("select * from analytics.freshness") == []


@pytest.mark.services
def test_a_changed_funnel_requests_a_run(world: World, instance: dg.DagsterInstance) -> None:
    world.produce(encoded(event()))
    world.ingest()
    world.refresh()
    world.aggregates.funnel = Funnel((FunnelStep("looked", "page_view"),))
    [_request], _ = tick(world, instance)
    assert run(world, instance).success
    assert world.query("select name, users from analytics.funnel_daily") == [("looked", 1)]
    assert tick(world, instance) == ([], "every table is whole")


@pytest.mark.services
def test_an_asset_says_how_many_days_it_lacks(world: World, instance: dg.DagsterInstance) -> None:
    world.produce(encoded(event()))
    world.ingest()
    world.refresh()
    world.query("update ops.aggregate_history set missing = '{[2026-01-01,2026-01-04)}' where name = 'sessions'")
    assert "sessions lacks 3 days, 2026-01-01 to 2026-01-03" in history.describe(world.aggregates.history())
    with world.worker.postgres.connect("test") as connection:
        shown = asset_metadata.current_metadata(connection, ["sessions", "events_hourly"])
    assert (shown["sessions"]["missing_days"], shown["events_hourly"]["missing_days"]) == (3, 0)
