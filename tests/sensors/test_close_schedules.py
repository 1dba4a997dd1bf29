"""Closing hours and days that are over: which, and that one run does them all."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from assets.aggregates.assets import HOURLY
from assets.aggregates.specs import asset_key
from assets.periods import HOUR, floor_hour, hour_key
from orchestration.definitions import build_defs
from sensors.close_schedules import candidates, closed_in, to_close
from tests.support.world import World, encoded, event

NOON = datetime(2026, 5, 18, 12, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("done", "first"),
    [(11, 11), (8, 8), (12, 11)],
    ids=["the hour that is just over", "with those that were missed", "again when it was closed before"],
)
def test_what_is_closed_is_everything_since_the_last_that_was(done: int, first: int) -> None:
    buckets = candidates(NOON, HOUR, 12, START)
    assert to_close(buckets, lambda hour: hour.hour < done) == (NOON.replace(hour=first), NOON.replace(hour=11))


def test_no_hour_is_closed_that_has_no_partition() -> None:
    assert candidates(NOON, HOUR, 24, NOON - 12 * HOUR)[0] == datetime(2026, 5, 18, tzinfo=UTC)
    assert candidates(NOON, HOUR, 24, NOON + HOUR) == [NOON]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:  # a schedule opens its instance anew
        yield made


def rebuilt(instance: dg.DagsterInstance, table: str, running: datetime, back: range) -> None:
    """As a run that rebuilt, just now, hours so far before the running one."""
    for hours in back:
        key = hour_key(running - hours * HOUR)
        instance.report_runless_asset_event(dg.AssetMaterialization(asset_key(table), partition=key))


def test_an_hour_is_closed_only_when_every_table_of_its_group_was_rebuilt(instance: dg.DagsterInstance) -> None:
    running = floor_hour(datetime.now(UTC))
    buckets = candidates(running, HOUR, 5, START)
    is_closed = closed_in(instance, HOURLY, HOUR, hour_key)
    for table in HOURLY:
        assert to_close(buckets, is_closed)[0] == running - 5 * HOUR
        rebuilt(instance, table, running, range(3, 6))
    assert to_close(buckets, is_closed)[0] == running - 2 * HOUR
    rebuilt(instance, HOURLY[0], running, range(1, 3))
    assert to_close(buckets, is_closed)[0] == running - 2 * HOUR, "the other tables of these hours are not closed"


def test_an_hour_that_was_rebuilt_while_it_lasted_is_not_closed(instance: dg.DagsterInstance) -> None:
    running = floor_hour(datetime.now(UTC))
    for table in HOURLY:
        rebuilt(instance, table, running, range(1))
    assert not closed_in(instance, HOURLY, HOUR, hour_key)(running)


def requested(defs: dg.Definitions, instance: dg.DagsterInstance, name: str, at: datetime) -> dg.RunRequest:
    schedule = defs.resolve_schedule_def(name)
    context = dg.build_schedule_context(instance, scheduled_execution_time=at)
    [request] = schedule.evaluate_tick(context).run_requests or []
    return request


@pytest.mark.services
def test_a_closed_hour_shows_its_rows_its_drift_and_that_it_is_exact(
    world: World, instance: dg.DagsterInstance
) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - HOUR
    world.produce(encoded(*(event(timestamp=(hour + timedelta(minutes=m)).isoformat()) for m in range(5))))
    world.ingest()
    defs = build_defs(world.settings, world.worker, world.aggregates)
    request = requested(defs, instance, "close_hours", hour + HOUR + timedelta(minutes=3))
    assert request.tags[ASSET_PARTITION_RANGE_END_TAG] == hour_key(hour)
    job = defs.resolve_job_def("rebuild_hourly_tables")
    result = job.execute_in_process(
        instance=instance, tags={**request.tags, ASSET_PARTITION_RANGE_START_TAG: hour_key(hour - HOUR)}
    )
    assert result.success
    made = [
        e for e in result.asset_materializations_for_node("rebuild_hours") if e.asset_key == asset_key("events_hourly")
    ]
    rows = {each.partition: each.metadata["dagster/row_count"].value for each in made}
    assert rows == {hour_key(hour - HOUR): 0, hour_key(hour): 1}
    assert [each.metadata["drift"].value for each in made] == [0, 0]
    assert [each.partition for each in made if "newest_rows" in each.metadata] == [hour_key(hour)]
    assert world.one("select sum(events)::int from analytics.events_hourly") == 5
    again = requested(defs, instance, "close_hours", hour + HOUR + timedelta(minutes=3))
    assert again.tags[ASSET_PARTITION_RANGE_START_TAG] < hour_key(hour), "the hours before were never closed"


@pytest.mark.services
def test_a_closed_day_is_one_run_of_all_daily_tables(world: World, instance: dg.DagsterInstance) -> None:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    world.produce(encoded(event(timestamp=(day - HOUR).isoformat())))
    world.ingest()
    defs = build_defs(world.settings, world.worker, world.aggregates)
    request = requested(defs, instance, "close_days", day + timedelta(minutes=10))
    yesterday = f"{day - timedelta(days=1):%Y-%m-%d}"
    assert request.tags[ASSET_PARTITION_RANGE_END_TAG] == yesterday
    result = defs.resolve_job_def("rebuild_daily_tables").execute_in_process(
        instance=instance, tags={ASSET_PARTITION_RANGE_START_TAG: yesterday, ASSET_PARTITION_RANGE_END_TAG: yesterday}
    )
    made = result.asset_materializations_for_node("rebuild_days")
    assert {each.asset_key.path[-1]: each.metadata["dagster/row_count"].value for each in made} == {
        "user_days": 1,
        "active_users_daily": 1,
        "funnel_daily": 3,
        "sessions": 1,
        "login_audit": 0,
    }
