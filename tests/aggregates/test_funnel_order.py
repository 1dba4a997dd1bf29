"""How far a user came in the funnel, against the orders in which the events of a day may have happened."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, product
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from assets.aggregates.funnel import Funnel, FunnelStep
from assets.aggregates.plans import joined_by_hash
from tests.support.world import World

pytestmark = pytest.mark.services

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
TOPIC = "b0000000-0000-0000-0000-000000000000"
# Some conditions overlap: a view of the start page is either of two steps, never both.
STEPS = (
    FunnelStep("any page", "page_view"),
    FunnelStep("start page", "page_view", {"page": "/"}),
    FunnelStep("click", "button_click"),
    FunnelStep("submit", "form_submit"),
)


class Event(NamedTuple):
    """An event of a day; the offset is its place in the list."""

    second: int
    partition: int
    type: str
    page: str

    def takes(self, step: FunnelStep) -> bool:
        return self.type == step.type and step.payload.items() <= {"page": self.page}.items()


EVENTS = st.builds(
    Event,
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from(["page_view", "page_view", "button_click", "form_submit", "login"]),
    st.sampled_from(["/", "/a"]),
)
DAYS = st.lists(st.lists(EVENTS, max_size=6), min_size=1, max_size=12)
FUNNELS = st.lists(st.sampled_from(STEPS), min_size=1, max_size=4).map(lambda steps: Funnel(tuple(steps)))


def merged(lanes: Sequence[Sequence[Event]]) -> Iterator[tuple[Event, ...]]:
    """Every order of the events of one time that keeps the order within each partition."""
    if not any(lanes):
        yield ()
    for n, lane in enumerate(lanes):
        if lane:
            for rest in merged([*lanes[:n], lane[1:], *lanes[n + 1 :]]):
                yield (lane[0], *rest)


def orders(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Every order in which they may have happened."""
    times = [list(group) for _, group in groupby(sorted(events, key=lambda e: e.second), lambda e: e.second)]
    ways = [
        list(merged([[e for e in group if e.partition == lane] for lane in {e.partition for e in group}]))
        for group in times
    ]
    for chosen in product(*ways):
        yield [event for group in chosen for event in group]


def taken(funnel: Funnel, order: Iterable[Event]) -> int:
    """How many steps one order takes, each as early as can be."""
    done = 0
    for event in order:
        if done < len(funnel.steps) and event.takes(funnel.steps[done]):
            done += 1
    return done


def counted(world: World, funnel: Funnel, days: Sequence[Sequence[Event]]) -> dict[str, int]:
    rows = [
        (f"user {n}", NOON + timedelta(seconds=e.second), e.type, json.dumps({"page": e.page}), e.partition, offset)
        for n, day in enumerate(days)
        for offset, e in enumerate(day)
    ]
    if not rows:
        return {}
    events = sql.SQL(
        "select v.*, (occurred_at at time zone 'UTC')::date as day, {}::uuid as kafka_topic_id from (values {}) as v"
        " (user_id, occurred_at, type, payload, kafka_partition, kafka_offset)"
    ).format(
        TOPIC,
        sql.SQL(", ").join(
            sql.SQL("({}, {}::timestamptz, {}, {}::jsonb, {}, {})").format(*(sql.Literal(v) for v in r)) for r in rows
        ),
    )
    with world.worker.postgres.connect("test") as connection, connection.transaction(), joined_by_hash(connection):
        found: list[Any] = connection.execute(funnel.furthest(events)).fetchall()
    assert len({user for user, _, _ in found}) == len(found)
    return {user: steps for user, _, steps in found}


def bounds(funnel: Funnel, events: Sequence[Event]) -> tuple[int, int]:
    """What the best of the possible orders takes, and what every pair of steps in a row allows by itself.

    They differ only where events of one time in two partitions would have to be before and after each other.
    """
    return max(taken(funnel, order) for order in orders(events)), _by_pairs(funnel, list(enumerate(events)))


def _by_pairs(funnel: Funnel, events: list[tuple[int, Event]]) -> int:
    ways = events
    for n, step in enumerate(funnel.steps):
        ways = [each for each in events if each[1].takes(step) and (n == 0 or any(_follows(each, w) for w in ways))]
        if not ways:
            return n
    return len(funnel.steps)


def _follows(one: tuple[int, Event], other: tuple[int, Event]) -> bool:
    (offset, event), (offset_before, before) = one, other
    if event.second != before.second:
        return event.second > before.second
    return event.partition != before.partition or offset > offset_before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(funnel=FUNNELS, days=DAYS)
def test_as_many_steps_count_as_the_possible_orders_take(world: World, funnel: Funnel, days: list[list[Event]]) -> None:
    found = counted(world, funnel, days)
    for n, day in enumerate(days):
        low, high = bounds(funnel, day)
        assert low <= found.get(f"user {n}", 0) <= high


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(funnel=FUNNELS, days=DAYS)
def test_where_the_order_is_known_as_many_steps_count_as_it_takes(
    world: World, funnel: Funnel, days: list[list[Event]]
) -> None:
    alone = [[event._replace(partition=event.second % 2) for event in day] for day in days]
    best = {f"user {n}": taken(funnel, sorted(day, key=lambda e: e.second)) for n, day in enumerate(alone)}
    assert counted(world, funnel, alone) == {user: steps for user, steps in best.items() if steps}
