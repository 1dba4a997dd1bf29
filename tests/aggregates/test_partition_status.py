"""Dagster's partitions of the hourly and daily tables: where they begin, and that they say what the tables hold."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from assets.aggregates.assets import DAILY, HOURLY
from assets.aggregates.partition_status import PartitionStatus, first_event_hour
from assets.aggregates.specs import asset_key
from assets.periods import DAY, HOUR, day_key, floor_day, floor_hour, hour_key
from orchestration.definitions import build_defs
from tests.support.world import World, encoded, event

pytestmark = pytest.mark.services


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def status() -> PartitionStatus:
    return PartitionStatus(None, HOURLY, DAILY)


def stored(world: World, *times: datetime) -> None:
    world.produce(encoded(*(event(timestamp=at.isoformat()) for at in times)))
    world.ingest()


def told(world: World, instance: dg.DagsterInstance, by: PartitionStatus, now: datetime, **most: int) -> int:
    with world.worker.postgres.connect("test") as connection:
        return by.tell(instance, connection, now, **most)


def begins(world: World, now: datetime) -> datetime | None:
    with world.worker.postgres.connect("test") as connection:
        return first_event_hour(connection, now)


def test_partitions_begin_with_the_first_event_that_no_wrong_clock_has_sent(world: World) -> None:
    now = datetime.now(UTC)
    assert begins(world, now) is None
    stored(world, now)
    assert begins(world, now) == floor_hour(now)
    late = now - timedelta(days=60, minutes=7)
    stored(world, now - 7 * DAY, late)
    assert begins(world, now) == floor_hour(late), "an event that came late has its partition"
    stored(world, late - timedelta(days=100))
    assert begins(world, now) == floor_hour(late), "a lone event years ago opens no years of empty hours"
    for back in range(11):
        stored(world, late - timedelta(days=80 * back))
    found = begins(world, now)
    assert found is not None
    assert found >= datetime(now.year - 2, now.month, 1, tzinfo=UTC), "bounded, however old the events are"


def test_every_partition_that_holds_what_it_should_is_materialized_once(
    world: World, instance: dg.DagsterInstance
) -> None:
    now = floor_day(datetime.now(UTC)) + timedelta(hours=12, minutes=30)
    stored(world, now - DAY, now - timedelta(hours=3))
    world.refresh()
    by = status()
    assert told(world, instance, by, now) == 25 * len(HOURLY) + 2 * len(DAILY)
    hours = {hour_key(now - back * HOUR) for back in range(25)}
    assert all(instance.get_materialized_partitions(asset_key(name)) == hours for name in HOURLY)
    days = {day_key(now), day_key(now - DAY)}
    assert all(instance.get_materialized_partitions(asset_key(name)) == days for name in DAILY)
    assert told(world, instance, by, now) == told(world, instance, status(), now) == 0, "nor by another process"
    assert told(world, instance, by, now + HOUR) == len(HOURLY), "the hour that has begun since"


def test_a_table_that_lacks_days_shows_their_partitions_as_missing(world: World, instance: dg.DagsterInstance) -> None:
    now = floor_day(datetime.now(UTC)) + timedelta(hours=1)
    stored(world, now - DAY, now - timedelta(minutes=5))
    world.refresh()
    day = f"[{day_key(now - DAY)},{day_key(now)})"
    change = "update ops.aggregate_history set missing = datemultirange(%s::daterange) where name = any(%s)"
    world.query(change, day, ["pages_hourly", "sessions"])
    by = status()
    told(world, instance, by, now)
    assert instance.get_materialized_partitions(asset_key("sessions")) == {day_key(now)}
    assert instance.get_materialized_partitions(asset_key("pages_hourly")) == {hour_key(now), hour_key(now - HOUR)}
    assert instance.get_materialized_partitions(asset_key("funnel_daily")) == {day_key(now), day_key(now - DAY)}
    world.query("update ops.aggregate_history set missing = '{}'")
    assert told(world, instance, by, now) > 0, "told when the days were filled"
    assert len(instance.get_materialized_partitions(asset_key("sessions"))) == 2


def test_a_refresh_tells_a_bounded_number_the_newest_first_and_the_next_goes_on(
    world: World, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    stored(world, now - 8 * DAY, now)
    world.refresh()
    by = status()
    assert told(world, instance, by, now, most=100) == 100
    known = instance.get_materialized_partitions(asset_key(HOURLY[0]))
    assert known == {hour_key(now - back * HOUR) for back in range(100)}
    while told(world, instance, by, now, most=1000):
        pass
    assert len(instance.get_materialized_partitions(asset_key(HOURLY[-1]))) == 8 * 24 + 1


def test_right_after_a_live_refresh_no_partition_is_missing_and_the_page_shows_the_table(
    world: World, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    stored(world, now - 5 * HOUR, now)
    defs = build_defs(world.settings, world.worker, world.aggregates)
    assert defs.resolve_job_def("refresh_aggregates").execute_in_process(instance=instance).success
    for name in HOURLY:
        assert len(instance.get_materialized_partitions(asset_key(name))) >= 6
        newest: Any = instance.get_latest_materialization_event(asset_key(name))
        assert newest.asset_materialization.partition is None
        assert "newest_rows" in newest.asset_materialization.metadata


def test_an_hour_without_any_event_is_told_of_when_the_one_before_is_closed(
    world: World, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    stored(world, now - 3 * HOUR)
    world.refresh()
    defs = build_defs(world.settings, world.worker, world.aggregates)
    job = defs.resolve_job_def("rebuild_hourly_tables")
    assert job.execute_in_process(instance=instance, partition_key=hour_key(now - HOUR)).success
    for name in HOURLY:
        assert len(instance.get_materialized_partitions(asset_key(name))) >= 4
