"""Ids that were used twice are listed daily, once each, and nothing else is."""

from datetime import UTC, datetime, timedelta

import pytest

from assets.upkeep import reused_ids
from assets.upkeep.reused_ids import Reused
from tests.support.world import World, encoded, event, out_of_balance

pytestmark = pytest.mark.services

ID = "0190a5a0-0000-7000-8000-000000000001"


def at(hours_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()


def store(world: World, *events: dict[str, object]) -> None:
    """Each in a run of its own, with nothing in Redis that would know the id."""
    for one in events:
        world.produce(encoded(one))
        world.worker.redis.call(lambda client: client.flushdb())
        world.ingest()


def find_today(world: World) -> Reused:
    return reused_ids.find(world.worker.postgres, datetime.now(UTC).date())


def test_an_id_that_comes_again_with_another_time_is_listed_once(world: World) -> None:
    once = event()
    store(world, event(ID, timestamp=at(30)), once, event(ID, timestamp=at(50)), once)
    found = find_today(world)
    assert (found.events, found.ids, found.listed) == (1, 1, 1)
    [row] = world.query("select event_id::text, first_occurred_at - occurred_at, type, first_type from ops.reused_ids")
    assert row[0] == ID
    assert timedelta(hours=19) < row[1] < timedelta(hours=21), "the one that was stored first is the first"
    assert row[2:] == ("page_view", "page_view")
    again = find_today(world)
    assert (again.events, again.listed) == (1, 0)
    assert out_of_balance(world.reconcile()) == []


def test_arrivals_of_other_days_and_uses_long_ago_are_not_looked_at(world: World) -> None:
    store(world, event(ID, timestamp=at(24 * 20)), event(ID, timestamp=at(1)))
    assert find_today(world).events == 0
    store(world, event(ID, timestamp=at(2)))
    assert find_today(world).events == 1
    assert reused_ids.find(world.worker.postgres).events == 0, "yesterday nothing arrived"


def test_three_uses_are_two_that_came_later_and_one_that_was_first(world: World) -> None:
    store(world, *(event(ID, timestamp=at(hours)) for hours in (5, 4, 3)))
    found = find_today(world)
    assert (found.events, found.ids, found.listed) == (2, 1, 2)
    assert world.one("select count(distinct first_occurred_at)::int from ops.reused_ids") == 1


def test_what_was_listed_is_forgotten_after_three_months(world: World) -> None:
    store(world, *(event(ID, timestamp=at(hours)) for hours in (5, 4)))
    find_today(world)
    later = datetime.now(UTC) + timedelta(days=91)
    reused_ids.find(world.worker.postgres, later.date(), lambda: later)
    assert world.one("select count(*) from ops.reused_ids") == 0


def test_partitions_of_other_days_are_not_read(world: World) -> None:
    store(world, event(), event())
    assert world.one("select count(*) from pg_inherits where inhparent = 'raw.events'::regclass") == 9
    world.query("select pg_stat_reset()")
    find_today(world)
    world.query("select pg_stat_force_next_flush()")
    read = world.query("select relname from pg_stat_user_tables where relname ~ '^events_' and seq_scan > 0 order by 1")
    today = datetime.now(UTC).date()
    days = {f"events_{today + timedelta(days=ahead):%Y%m%d}" for ahead in (0, 1)}
    assert {name for (name,) in read} <= {"events_old", "events_minutely", "events_hourly", *days}
