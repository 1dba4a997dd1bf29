"""What a user usually comes with, and on which days: by what changed, whatever was there before.

What belongs here: devices and addresses that come, go and draw level, and days that come and go among others. What does
not: spellings of addresses (`test_addresses`).
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.aggregates.compare import Stage
from tests.aggregates.oracle import Event
from tests.aggregates.streams import Json, at
from tests.aggregates.work import work_of_a_refresh

pytestmark = pytest.mark.services

START = datetime(2026, 7, 1, 12, tzinfo=UTC)


def usual(stage: Stage) -> list[tuple[str | None, str | None]]:
    """Device and address of each user."""
    return [row[-2:] for row in stage.rows("user_profiles")]


def login(day: int, second: int, user: str = "ann", **payload: str) -> Json:
    return at(START + timedelta(days=day, seconds=second), user, "login", **payload)


def without(stage: Stage, gone: Callable[[Event], bool], condition: str) -> list[Event]:
    """Delete events as nobody does who tells the aggregates of it; what is left."""
    stage.world.query(f"delete from raw.events where {condition}")
    return [event for event in stage.placed() if not gone(event)]


def wrong_by_events(stage: Stage, left: list[Event]) -> list[str]:
    """What differs, apart from the counts by minute: ingest writes these, and no rebuild."""
    return [line for line in stage.wrong(left) if not line.startswith("events_minutely")]


def test_another_device_is_the_usual_one_as_soon_as_it_has_more_events(stage: Stage) -> None:
    found = []
    for n, device in enumerate("aababbbb"):
        stage.send(login(n % 3, n, device=device, ip=f"192.0.2.{n % 2}"))
        assert stage.settled() == []
        found += [device for device, _ in usual(stage)]
    assert found == list("aaaaaabb")


@pytest.mark.parametrize("seed", range(3))
def test_devices_and_addresses_that_come_in_any_order_are_counted_right(stage: Stage, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(12):
        for n in range(draw.randint(1, 12)):
            payload = {"device": draw.choice(["a", "b", "é", ""]), "ip": f"192.0.2.{draw.randint(1, 3)}"}
            user, day = draw.choice(["ann", "bob"]), draw.choice([0, 0, 1, 5])
            stage.send(at(START + timedelta(days=day, seconds=n), user, draw.choice(["login", "page_view"]), **payload))
        assert stage.settled() == []
    assert stage.rebuild() == {}


def test_a_rebuild_finds_the_next_device_where_events_with_the_usual_one_are_gone(stage: Stage) -> None:
    for n, device in enumerate(["a", "a", "a", "c", "b", "b", "c"]):
        stage.send(login(n % 2, n, device=device, ip="192.0.2.1"), login(n, n, "bob", device="a"))
    assert stage.settled() == []
    assert [device for device, _ in usual(stage)] == ["a", "a"]
    gone = "user_id = 'ann' and payload ->> 'device' = 'a'"
    left = without(stage, lambda e: e.user_id == "ann" and e.payload.get("device") == "a", gone)
    stage.rebuild()
    assert wrong_by_events(stage, left) == []
    assert [device for device, _ in usual(stage)] == ["b", "a"]


def test_the_usual_address_costs_as_little_to_know_after_400_addresses_as_after_40(stage: Stage) -> None:
    def work_of_one_more(user: str, before: int) -> int:
        stage.send(*(login(0, n, user, ip=f"10.0.{n // 250}.{n % 250}") for n in range(before)))
        assert stage.settled() == []
        stage.send(login(1, 0, user, ip="10.0.0.7"))
        work = work_of_a_refresh(stage.world.aggregates)
        assert stage.settled() == []
        return sum(count for text, count in work.items() if "user_usual" in text)

    assert 0 < work_of_one_more("bob", 400) < 1.5 * work_of_one_more("ann", 40)


@pytest.mark.parametrize("seed", range(3))
def test_days_that_come_and_go_among_others_move_the_counts_of_active_users(stage: Stage, seed: int) -> None:
    draw = random.Random(seed)
    days = [draw.choice([draw.randint(0, 12), draw.randint(0, 80)]) for _ in range(30)]
    for start in range(0, len(days), 5):
        stage.send(*(login(day, n, draw.choice(["ann", "bob"])) for n, day in enumerate(days[start : start + 5])))
        assert stage.settled() == []
    gone = {START + timedelta(days=day) for day in draw.sample(days, 10)}
    listed = ", ".join(f"'{day.date()}'" for day in gone)
    left = without(
        stage,
        lambda e: e.user_id == "ann" and e.occurred_at.date() in {day.date() for day in gone},
        f"user_id = 'ann' and (occurred_at at time zone 'UTC')::date in ({listed})",
    )
    stage.rebuild()
    assert wrong_by_events(stage, left) == []
