"""What an erasure does grows as the user's events, and not as their square."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.harness import Running
from tests.aggregates import work
from tests.aggregates.test_work import ROOM
from tests.erasure.support import erase
from tests.support.world import World, fresh_world

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

EVENTS = 2_000
START = datetime(2022, 1, 1, tzinfo=UTC)
_COMMITTED = """
insert into ops.offsets (topic, topic_id, partition, next_offset)
select %s, %s, p, 1000000 from generate_series(0, 1) as p
on conflict do nothing
"""


@pytest.fixture
def world(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with fresh_world(services, tmp_path_factory.mktemp("work")) as made:
        yield made


def erased(world: World, events: int, number: int, step: timedelta) -> Counter[str]:
    """The work of erasing one user of so many events, beside another one who stays."""
    start = START + number * timedelta(days=400)
    work.store(world, 2 * events, start, step, users=2)
    world.query(_COMMITTED, world.topic, work.TOPIC_ID)
    world.refresh()
    with work.counting() as counted:
        gone = erase(world, "user-0")
    assert gone.events == events
    return counted


@pytest.mark.parametrize("step", [timedelta(seconds=1), timedelta(minutes=20)], ids=["in one hour", "over weeks"])
def test_twice_as_many_events_of_a_user_are_at_most_three_times_the_work(world: World, step: timedelta) -> None:
    once = erased(world, EVENTS, 0, step)
    twice = erased(world, 2 * EVENTS, 1, step)
    assert once, "nothing was counted"
    grown = {text: (once[text], n) for text, n in twice.items() if n > 3 * once[text] + ROOM}
    assert grown == {}
