"""Who is counted in an hour is known without reading its events; where it is not known, the events are read."""

from datetime import datetime, timedelta

import psycopg
import pytest

from tests.aggregates.compare import Stage
from tests.aggregates.streams import Json, at

pytestmark = pytest.mark.services

DAY = "2026-07-15"
TRACKED = "select hour from ops.hour_members where member = '00000000-0000-0000-0000-000000000000'"
MEMBERS = "select count(*) from ops.hour_members where member <> '00000000-0000-0000-0000-000000000000'"


def views(*users: str, day: str = DAY, minute: int = 0, page: str = "/") -> list[Json]:
    return [at(f"{day}T10:{minute:02}:{n % 60:02}", user, page=page) for n, user in enumerate(users)]


def day(days: int) -> str:
    return (datetime.fromisoformat(DAY) + timedelta(days=days)).date().isoformat()


def reads_of_old_events(stage: Stage) -> int:
    """How many events of hours that something arrived for a refresh reads again, to know who was counted."""
    found: list[int] = []
    aggregates = stage.world.aggregates

    def look(name: str) -> None:
        if name == "hourly_before_commit":
            with aggregates.consumers[0].session.warm.connection().cursor() as cursor:
                found.append(cursor.execute("select count(*) from earlier").fetchone()[0])  # pyright: ignore[reportOptionalSubscript]

    aggregates.failpoint = look
    try:
        aggregates.refresh()
    finally:
        aggregates.failpoint = lambda _: None
    return sum(found)


def test_more_events_of_an_hour_read_none_of_its_old_ones(stage: Stage) -> None:
    for minute in range(3):
        stage.send(*views("ann", "bob", f"new {minute}", minute=minute))
        assert reads_of_old_events(stage) == 0
        assert stage.wrong() == []
    assert len(stage.world.query(TRACKED)) == 1


def test_keys_and_users_whose_texts_run_together_are_told_apart(stage: Stage) -> None:
    stage.send(*views("b", page="/a"), *views("ab", page="/"))
    stage.world.refresh()
    stage.send(*views("b", page="/a", minute=1), *views("ab", page="/", minute=1), *views("a", page="/b"))
    assert stage.settled() == []


def test_a_new_day_takes_the_slot_of_the_day_eight_days_before_whose_late_events_still_count_once(stage: Stage) -> None:
    stage.send(*views("ann", "bob"))
    stage.world.refresh()
    stage.send(*views("ann", day=day(8)), *views("ann", minute=1))
    assert stage.settled() == []
    assert len(stage.world.query(TRACKED)) == 1
    stage.send(*views("ann", "bob", "cleo", minute=2), *views("ann", "bob", day=day(8), minute=2))
    assert reads_of_old_events(stage) > 0
    assert stage.wrong() == []


def test_an_older_day_than_the_one_in_its_slot_is_not_tracked_and_right(stage: Stage) -> None:
    stage.send(*views("ann", day=day(8)))
    stage.world.refresh()
    for minute in range(2):
        stage.send(*views("ann", "bob", minute=minute))
        assert stage.settled() == []
    assert len(stage.world.query(TRACKED)) == 1


def test_hours_of_a_new_day_are_right_although_somebody_reads_its_slot(stage: Stage) -> None:
    """As a backup does, for as long as it takes."""
    stage.send(*views("ann"))
    stage.world.refresh()
    with psycopg.connect(stage.world.settings.postgres_url) as backup:
        backup.execute("select count(*) from ops.hour_members")
        for minute in range(2):
            stage.send(*views("ann", "bob", day=day(8), minute=minute), *views("bob", minute=minute + 1))
            assert stage.settled() == []
    stage.send(*(at(f"{day(8)}T11:00", user) for user in ("ann", "bob")))
    assert stage.settled() == []
    assert [hour for (hour,) in stage.world.query(TRACKED)] == [
        round(datetime.fromisoformat(f"{day(8)}T11:00+00:00").timestamp()) // 3600
    ]


def test_an_hour_that_had_to_be_corrected_is_not_tracked_any_more(stage: Stage) -> None:
    stage.send(*views("ann", "bob"))
    stage.world.refresh()
    stage.world.query("update analytics.pages_hourly set users = users + 1")
    assert stage.rebuild() == {"pages_hourly": 1}
    assert stage.world.one("select count(*) from ops.hour_members") == 0
    stage.send(*views("ann", "cleo", minute=1))
    assert stage.settled() == []


def test_a_table_that_was_made_anew_counts_who_came_before_once(stage: Stage) -> None:
    """As one that an upgrade brings: the hour is tracked, and its members do not know the table."""
    stage.send(*views("ann", "bob"))
    stage.world.refresh()
    stage.world.query("truncate analytics.referrers_hourly")
    stage.send(*views("ann", minute=1))
    stage.world.refresh()
    stage.rebuild()
    stage.send(*views("ann", "bob", "cleo", minute=2))
    assert stage.settled() == []


def test_late_events_among_those_of_now_name_the_times_in_which_they_lie(stage: Stage) -> None:
    now = [at(f"{DAY}T10:30:00.{n:06}", "ann") for n in range(0, 20_000, 5_000)]
    stage.send(*now, at(f"{DAY}T10:01", "bob"), at(f"{DAY}T10:02", "cleo"))
    [[windows]] = stage.world.query("select windows from ops.dirty_buckets")
    assert [(w.lower, w.upper) for w in windows] == [
        (moment, moment) for moment in map(datetime.fromisoformat, (f"{DAY}T10:01+00:00", f"{DAY}T10:02+00:00"))
    ] + [(datetime.fromisoformat(now[0]["timestamp"]), datetime.fromisoformat(now[-1]["timestamp"]))]
    assert stage.settled() == []
    stage.send(at(f"{DAY}T10:01:30", "bob"))
    assert stage.world.one("select windows from ops.dirty_buckets") is None
    assert stage.settled() == []


def test_what_a_release_that_knows_no_members_added_is_counted_once(stage: Stage) -> None:
    """As after a roll-back: it adds to the tables, and to no members."""
    stage.send(*views("ann"))
    stage.world.refresh()
    members = stage.world.query("select * from ops.hour_members")
    stage.send(*views("bob", "cleo", minute=1))
    stage.world.refresh()
    stage.world.query("truncate ops.hour_members")
    for row in members:
        values = ", ".join("null" if value is None else f"'{value}'" for value in row)
        stage.world.query(f"insert into ops.hour_members values ({values})")
    stage.send(*views("ann", "bob", "dora", minute=2))
    assert stage.settled() == []
