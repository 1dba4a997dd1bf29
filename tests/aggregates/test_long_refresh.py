"""A refresh that has much to do: many hours, days far apart, too much for its time, a process that is killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.harness import Running
from tests.aggregates import work
from tests.aggregates.compare import Stage
from tests.aggregates.streams import at
from tests.support.world import World, fresh_world
from tests.system.system import eventually

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

START = datetime(2016, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 20, 12, tzinfo=UTC)
_WAITS_FOR_HOURLY = """
select count(*) from ops.dirty_buckets as d where d.hour = %s
and not exists (select from ops.taken_marks as m where m.consumer = 'hourly' and m.mark_id = d.mark_id)
"""
_SLOW = """
create function public.slowly() returns trigger language plpgsql as $$
begin
    perform pg_sleep((select count(*) from written) * {seconds});
    return null;
end $$;
create trigger slowly after insert on ops.user_days referencing new table as written
for each statement execute function public.slowly();
"""


@pytest.fixture
def world(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of the test's own, which may be changed."""
    with fresh_world(services, tmp_path_factory.mktemp("long")) as made:
        yield made


def test_ten_years_are_taken_in_by_small_transactions_and_the_current_hour_by_the_first(world: World) -> None:
    years = timedelta(days=3_650)
    work.store(world, 3_000, START, years / 3_000)
    work.store(world, 10, NOW, timedelta(seconds=1))
    work.paced(world.aggregates, 2_000)
    first: list[int] = []

    def look(name: str) -> None:
        if name == "hourly_before_commit":
            first.append(world.one(_WAITS_FOR_HOURLY, NOW))

    world.aggregates.failpoint = look
    done = world.aggregates.refresh()
    assert (done.events, len(done.hours)) == (3_010, 3_001)
    assert done.transactions > 3
    assert first[:2] == [1, 0]  # each look is before its own COMMIT
    assert world.one("select sum(events)::int from analytics.events_hourly") == 3_010
    assert world.one("select sum(dau)::int from analytics.active_users_daily") == world.one(
        "select count(distinct (user_id, occurred_at::date))::int from raw.events"
    )


def test_an_event_of_year_one_costs_what_another_late_event_costs(stage: Stage) -> None:
    stage.send(at(NOW, "ann"))
    assert stage.settled() == []
    stage.send(at(NOW - timedelta(days=1), "ann"), at(NOW + timedelta(minutes=1), "ann"))
    yesterday = work.work_of_a_refresh(stage.world.aggregates).total()
    stage.send(at("0001-01-01T00:00:00", "ann"))
    of_old = work.work_of_a_refresh(stage.world.aggregates).total()
    stage.world.aggregates.failpoint = lambda _: None
    assert of_old < 3 * yesterday
    assert stage.settled() == []


def test_what_failed_by_time_takes_less_until_it_passes(world: World) -> None:
    work.store(world, 400, NOW, timedelta(minutes=1), users=400)
    world.query(_SLOW.format(seconds=0.02))
    world.aggregates.longest = 2  # of 400 rows it is over after 100
    work.paced(world.aggregates, 400)
    done = world.aggregates.refresh()
    assert done.events == 400
    assert done.transactions > 1
    assert world.one("select count(*) from ops.dirty_buckets") == 0


def test_a_killed_process_leaves_no_session_at_work_and_no_lock(world: World) -> None:
    work.store(world, 10, NOW, timedelta(seconds=1))
    world.query(_SLOW.format(seconds=60))
    own = {**world.services.environment, "MILLRACE_POSTGRES_URL": world.settings.postgres_url}
    command = [sys.executable, "-m", "tests.aggregates.refresh_elsewhere", "refresh"]
    process = subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.DEVNULL)
    sleeping = "select pid from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    eventually(lambda: world.query(sleeping) != [], seconds=120)
    process.kill()
    process.wait()
    eventually(lambda: world.query(sleeping) == [], seconds=120)  # the statement alone would take ten minutes
    world.query("drop trigger slowly on ops.user_days")
    assert world.refresh().events == 10
