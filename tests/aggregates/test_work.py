"""What a refresh does grows as what arrives, in a young, a skewed and an old database."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local.harness import Running
from tests.aggregates import work
from tests.support.world import World, fresh_world

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

EVENTS = 1_000
ROOM = 20_000  # what small tables and plans cost anyway; what is quadratic is four times the work, and millions
START = datetime(2026, 6, 1, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.fixture
def quiet(services: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which nobody analyses tables behind the test's back."""
    with fresh_world(services, tmp_path_factory.mktemp("work")) as made:
        found = made.query(
            "select c.oid::regclass::text from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
            " where n.nspname in ('raw', 'ops', 'analytics') and c.relkind = 'r'"
        )
        for (table,) in found:
            made.query(f"alter table {table} set (autovacuum_enabled = off)")
        yield made


HISTORIES: dict[str, dict[str, Any]] = {
    "young": {"events": 2_000, "start": START, "step": timedelta(milliseconds=10)},
    "skewed": {"events": 10_000, "start": START - 40 * DAY, "step": timedelta(minutes=5), "skewed": True},
    "old": {"events": 20_000, "start": START - 40 * DAY, "step": timedelta(minutes=1)},
}
ARRIVALS: list[dict[str, Any]] = [
    {"start": START, "step": timedelta(milliseconds=100)},
    {"start": START + 90 * DAY, "step": timedelta(milliseconds=100), "listed": True},
    {"start": START, "step": timedelta(minutes=20), "users": 50},
    {"start": START, "step": timedelta(seconds=30), "skewed": True},
    {"start": START - 4_000 * DAY, "step": timedelta(hours=5), "skewed": True, "users": 3},
]


@pytest.mark.parametrize("analysed", [True, False])
@pytest.mark.parametrize("history", HISTORIES)
def test_twice_as_many_events_are_at_most_three_times_the_work(quiet: World, history: str, analysed: bool) -> None:
    work.store(quiet, **HISTORIES[history])
    for arrival in ARRIVALS:
        quiet.aggregates.failpoint = lambda _: None
        quiet.refresh()
        if analysed:
            quiet.query("analyze")
        once, twice = (_more(quiet, nth, arrival) for nth in range(2))
        assert once, "nothing was counted"
        grown = {text: (once[text], n) for text, n in twice.items() if n > 3 * once[text] + ROOM}
        assert not grown, "\n\n".join(f"{arrival}: {a:,} -> {b:,}: {text[:1500]}" for text, (a, b) in grown.items())


def _more(world: World, nth: int, arrival: dict[str, Any]) -> Counter[str]:
    start = arrival["start"] + nth * (EVENTS * arrival["step"] + SECOND)
    world.query("vacuum analytics.sessions")  # what was counted before was rolled back: its dead rows are nobody's work
    work.store(world, EVENTS, **{**arrival, "start": start})
    return work.work_of_a_refresh(world.aggregates)
