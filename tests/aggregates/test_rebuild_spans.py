"""A rebuild costs what its range holds, not how long it is."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from assets.aggregates.marks import DaysBetween
from assets.aggregates.rebuild import spans
from assets.periods import HOUR, TimeSpan
from tests.aggregates import work
from tests.support.world import World

LOW, HIGH = datetime(1, 1, 1, tzinfo=UTC), datetime(2026, 6, 3, tzinfo=UTC)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
_TABLES = """
select c.oid::regclass::text from pg_class as c
where c.relnamespace = 'analytics'::regnamespace and c.relkind = 'r' order by c.relname
"""


def test_two_thousand_years_that_hold_three_hours_are_cut_at_these() -> None:
    events = {NOON: 5, NOON + HOUR: 25, NOON + 3 * HOUR: 1}
    assert list(spans(LOW, HIGH, events, 10)) == [
        (TimeSpan(LOW, NOON + HOUR), 5),
        (TimeSpan(NOON + HOUR, NOON + 2 * HOUR), 25),
        (TimeSpan(NOON + 2 * HOUR, HIGH), 1),
    ]


def test_days_of_centuries_are_two_dates() -> None:
    days = DaysBetween(date.min, date.max)
    assert (len(days), date(2026, 6, 1) in days, date.max in days) == (3_652_059, True, True)
    assert list(DaysBetween(date(2026, 5, 31), date(2026, 6, 1))) == [date(2026, 5, 31), date(2026, 6, 1)]
    assert not DaysBetween(date(2026, 6, 1), date(2026, 5, 31))


@pytest.mark.services
@pytest.mark.timeout(600)
def test_a_rebuild_from_the_first_year_does_as_much_work_as_one_from_last_week(world: World) -> None:
    for start in (datetime(1, 1, 2, tzinfo=UTC), datetime(1700, 1, 1, tzinfo=UTC), NOON):
        work.store(world, 20, start, timedelta(hours=1), users=3)
    world.refresh()
    assert world.aggregates.days_with_rows(LOW.date(), HIGH.date()) == [
        date(1, 1, 2),
        date(1700, 1, 1),
        date(2026, 6, 1),
        date(2026, 6, 2),
    ]
    with work.counting() as counted:
        rebuilt = world.aggregates.rebuild(LOW, HIGH)
    assert not any(rebuilt.drift.values()), rebuilt.drift
    assert max(counted.values()) < 20_000, counted.most_common(1)


@pytest.mark.services
def test_a_rebuild_of_what_is_right_neither_writes_nor_locks_a_row(world: World) -> None:
    for day in range(3):
        work.store(world, 300, NOON + day * timedelta(days=1), timedelta(hours=6), users=20)
    world.refresh()
    tables = [f"ops.{name}" for name in ("user_days", "user_day_traits", "user_traits")]
    tables += [name for (name,) in world.query(_TABLES)]

    def versions() -> dict[str, list[tuple[Any, ...]]]:
        rows = "select ctid::text, xmin::text, xmax::text from {} order by ctid"
        return {name: world.query(rows.format(name)) for name in tables}

    before = versions()
    assert [name for name, rows in before.items() if not rows] == ["analytics.events_minutely"]  # ingest writes it
    assert not any(world.aggregates.rebuild(NOON - 2 * HOUR, NOON + timedelta(days=3)).drift.values())
    assert versions() == before
