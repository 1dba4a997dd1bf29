"""What is behind the frontier is gone, stays away, is counted as expired, and every record stays accounted for."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from assets.ingest.worker import Failpoints, InjectedFailure
from tests.erasure.support import SECRET, erase, minutes_equal_raw, of, replayed, retain, traces
from tests.support.world import World, encoded, out_of_balance

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def first_day_long_ago(world: World) -> None:
    """As in a database that was made some weeks ago: what is older than that stands in events_old."""
    first = (datetime.now(UTC) - timedelta(days=20)).date()
    world.query("alter table raw.events detach partition raw.events_old")
    world.query(f"alter table raw.events attach partition raw.events_old for values from (minvalue) to ('{first}')")


def days_held(world: World) -> set[date]:
    """The days that have a partition."""
    names = world.query("select relid::regclass::text from pg_partition_tree('raw.events') where isleaf")
    return {datetime.strptime(n[-8:], "%Y%m%d").date() for (n,) in names if not n.endswith("_old")}  # noqa: DTZ007


def ago(days: int) -> date:
    """So many days before today, UTC."""
    return (datetime.now(UTC) - timedelta(days=days)).date()


def weeks(world: World) -> None:
    """One event a day of the last days, one from long ago, and a duplicate of an old one."""
    events = [of("u", days_ago=days) for days in (1, 2, 4, 5, 30)]
    world.produce(encoded(*events, events[3]))
    world.ingest()


def test_old_days_are_dropped_and_everything_stays_accounted_for(world: World) -> None:
    weeks(world)
    done = retain(world, 3)
    assert done.frontier == datetime.combine(ago(3), datetime.min.time(), UTC)
    assert (len(done.partitions), done.rows, done.left) == (2, 3, [])
    assert done.bytes > 0
    assert min(days_held(world)) >= ago(3)
    assert world.one("select count(*) from raw.events") == 2
    assert world.totals() == {
        "records": 6, "stored": 2, "duplicates": 1, "dead_letters": 0, "tombstones": 0, "expired": 3,
    }  # fmt: skip
    assert out_of_balance(world.reconcile()) == []
    assert world.query("select action from ops.audit_log") == [("retention",)]


def test_aggregates_of_dropped_days_are_kept_and_hold_all_of_them(world: World) -> None:
    weeks(world)  # nothing is taken in yet
    retain(world, 3)
    world.refresh()
    assert world.one("select sum(events)::int from analytics.events_hourly") == 5
    assert world.one("select sum(events)::int from analytics.sessions") == 5


def test_an_event_from_behind_the_frontier_is_counted_and_changes_nothing(world: World) -> None:
    weeks(world)
    retain(world, 3)
    world.refresh()
    before = world.query("select * from analytics.events_minutely order by 1, 2")
    old = of("u", days_ago=6)
    world.produce(encoded(old, of("u", days_ago=1.5), old, of("u", days_ago=40)))
    world.ingest(world.another_worker())
    assert world.totals() == {
        "records": 10, "stored": 3, "duplicates": 1, "dead_letters": 0, "tombstones": 0, "expired": 6,
    }  # fmt: skip
    assert min(days_held(world)) >= ago(3)
    assert world.one("select count(*) from raw.events_old") == 0
    assert world.one("select sum(events)::int from ops.dirty_buckets") == 1
    after = world.query("select * from analytics.events_minutely order by 1, 2")
    assert len(after) == len(before) + 1
    assert out_of_balance(world.reconcile()) == []


def test_a_replay_brings_no_dropped_event_back(world: World) -> None:
    weeks(world)
    retain(world, 3)
    replayed(world, ())
    assert world.one("select count(*) from raw.events") == 2
    assert min(days_held(world)) >= ago(3)
    assert out_of_balance(world.reconcile()) == []


def test_retention_is_off_by_default_and_never_moves_back(world: World) -> None:
    weeks(world)
    assert world.settings.retention_days == 0
    assert retain(world, 0).frontier is None
    assert world.one("select count(*) from raw.events") == 5
    later = retain(world, 2).frontier
    assert retain(world, 10).frontier == later


@pytest.mark.parametrize("point", ["retention_detached", "retention_before_commit"])
def test_a_retention_that_was_killed_is_finished_by_the_next(world: World, point: str) -> None:
    weeks(world)
    world.set_failpoint(f"{point}.fail")
    with pytest.raises(InjectedFailure):
        retain(world, 3, failpoint=Failpoints(world.failpoints))
    assert out_of_balance(world.reconcile()) == []
    replayed(world, ())
    assert out_of_balance(world.reconcile()) == []
    retain(world, 3)
    assert world.totals()["expired"] >= 3
    assert out_of_balance(world.reconcile()) == []


def test_a_reader_neither_waits_for_retention_nor_loses_what_it_reads(world: World) -> None:
    weeks(world)
    with psycopg.connect(world.settings.postgres_url) as reader:
        reader.execute("begin isolation level repeatable read")
        reader.execute("select count(*) from raw.events").fetchall()
        done = retain(world, 3, lock_timeout_seconds=0.2)
        assert reader.execute("select count(*) from raw.events_old").fetchall()
        assert done.left
    assert out_of_balance(world.reconcile()) == []
    assert retain(world, 3).left == []
    assert out_of_balance(world.reconcile()) == []


def test_an_erasure_beside_retention_leaves_no_trace_and_right_books(world: World) -> None:
    world.produce(encoded(*(of(user, days_ago=days) for user in (SECRET, "other") for days in (1, 2, 5, 6))))
    world.ingest()
    world.refresh()
    world.set_failpoint("retention_detached.fail")
    with pytest.raises(InjectedFailure):
        retain(world, 3, failpoint=Failpoints(world.failpoints))
    assert erase(world).events == 4  # also those in partitions on their way out
    assert traces(world) == {}
    retain(world, 3)
    assert world.totals()["erased"] == 4
    assert world.totals()["expired"] == 2
    assert minutes_equal_raw(world) is False  # what expired stays counted
    assert out_of_balance(world.reconcile()) == []
