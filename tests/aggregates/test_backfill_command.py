"""`millrace backfill`: which range is meant, and what it does without Dagster. By Dagster: tests/system."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assets.periods import TimeSpan
from orchestration.backfill_range import RangeError, read_range, read_tables
from orchestration.backfills import BackfillError, parts
from orchestration.cli.backfill import backfill
from tests.aggregates.work import one_group
from tests.support.world import World, encoded, event

NOW = datetime(2026, 5, 18, 14, 20, tzinfo=UTC)


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 5, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "last", "days", "low", "high"),
    [
        ("2026-05-01", "2026-05-03", None, at(1), at(4)),
        ("2026-05-01T08", "2026-05-01T08", None, at(1, 8), at(1, 9)),
        ("2026-05-01T08:00Z", "2026-05-02", None, at(1, 8), at(3)),
        ("2026-05-01-08:00", "2026-05-01-10:00", None, at(1, 8), at(1, 11)),
        ("2026-05-18", None, None, at(18), at(18, 15)),
        ("2026-05-17", "2026-05-30", None, at(17), at(18, 15)),
        (None, None, 1, at(18), at(18, 15)),
        (None, None, 3, at(16), at(18, 15)),
    ],
)
def test_a_range_is_read_as_people_write_it(
    first: str | None, last: str | None, days: int | None, low: datetime, high: datetime
) -> None:
    assert read_range(first, last, days, NOW) == TimeSpan(low, high)


@pytest.mark.parametrize(
    ("first", "last", "days", "said"),
    [
        ("2026-05-03", "2026-05-01", None, "ends before it begins"),
        ("2026-05-03T09", "2026-05-03T08", None, "ends before it begins"),
        ("2026-05-19", "2026-05-20", None, "lies in the future"),
        ("yesterday", None, None, "such as 2026-01-31"),
        ("2026-05-03T09:30", None, None, "a full hour"),
        ("2026-05-03", None, 3, "either --days"),
        (None, "2026-05-03", None, "say which range"),
        (None, None, None, "say which range"),
    ],
)
def test_a_range_that_cannot_be_meant_is_refused(
    first: str | None, last: str | None, days: int | None, said: str
) -> None:
    with pytest.raises(RangeError, match=said):
        read_range(first, last, days, NOW)


def test_an_unknown_table_is_named_with_those_that_there_are() -> None:
    with pytest.raises(RangeError, match=r"no such table: sesions; there are .*sessions"):
        read_tables("events_hourly,sesions", {"events_hourly", "sessions"})
    assert read_tables(" analytics.sessions ,events_hourly", {"events_hourly", "sessions"}) == {
        "events_hourly",
        "sessions",
    }


def test_a_range_is_one_run_for_the_hours_one_for_the_days_one_for_the_rest() -> None:
    hours, days, rest = parts(
        TimeSpan(at(1, 8), at(3, 2)), frozenset({"events_hourly", "sessions", "user_profiles"}), at(1)
    )
    assert list(hours.tags.values()) == ["2026-05-01-08:00", "2026-05-03-01:00"]
    assert list(days.tags.values()) == ["2026-05-01", "2026-05-03"]
    assert rest.config == {
        "ops": {"rebuild_overall": {"config": {"first_day": "2026-05-01", "last_day": "2026-05-03"}}}
    }
    [only] = parts(TimeSpan(at(1), at(2)), frozenset({"funnel_daily"}), at(1))
    assert only.tables == ("funnel_daily",)


def test_what_lies_before_the_first_partition_is_left_out_and_a_range_that_lies_there_is_refused() -> None:
    tables = frozenset({"events_hourly", "sessions", "user_profiles"})
    hours, days, rest = parts(TimeSpan(at(1), at(3, 2)), tables, at(2, 5))
    assert list(hours.tags.values()) == ["2026-05-02-05:00", "2026-05-03-01:00"]
    assert list(days.tags.values()) == ["2026-05-02", "2026-05-03"]
    assert rest.config["ops"]["rebuild_overall"]["config"]["first_day"] == "2026-05-01", "it has no partitions"
    with pytest.raises(BackfillError, match=r"begin at 2026-05-02 05:00 UTC: set MILLRACE_HISTORY_START"):
        list(parts(TimeSpan(at(1), at(2)), tables, at(2, 5)))


def command(world: World, *arguments: str) -> Result:
    names = ("postgres_url", "redis_url", "broker_url", "kafka_bootstrap_servers")
    environment = {f"MILLRACE_{name.upper()}": str(getattr(world.settings, name)) for name in names}
    return CliRunner(env=environment).invoke(backfill, arguments)


def answer(result: Result) -> dict[str, Any]:
    return json.loads(result.stdout)


@pytest.mark.services
def test_a_local_backfill_repairs_what_is_wrong_and_finds_nothing_the_second_time(world: World) -> None:
    world.produce(encoded(event(), event(timestamp=(datetime.now(UTC) - timedelta(hours=30)).isoformat())))
    world.ingest()
    world.refresh()
    world.query("update analytics.events_hourly set users = 7")
    world.query("delete from analytics.sessions")
    first = command(world, "--days", "3", "--local", "--json")
    assert first.exit_code == 0, first.output
    tables = answer(first)["tables"]
    assert (tables["events_hourly"]["drift"], tables["sessions"]["drift"], tables["pages_hourly"]["drift"]) == (2, 2, 0)
    again = answer(command(world, "--days", "3", "--local", "--json"))["tables"]
    assert {name: each["drift"] for name, each in again.items() if each["drift"]} == {}
    assert world.query("select events::int, users::int from analytics.events_hourly") == [(1, 1), (1, 1)]


@pytest.mark.services
def test_a_local_backfill_leaves_no_mark_of_any_day_that_only_some_groups_have_taken(world: World) -> None:
    """The release before the groups cannot take such a mark: so this mends a roll-back (docs/releases.md)."""
    late, now = event(timestamp=(datetime.now(UTC) - timedelta(days=5)).isoformat()), event()
    world.produce(encoded(late, now))
    world.ingest()
    for group in ("hourly", "users"):
        while one_group(world.aggregates, group, most=1):
            pass
    assert world.one("select count(*) from ops.taken_marks") == 4
    result = command(world, "--days", "1", "--local", "--json")
    assert result.exit_code == 0, result.output
    assert world.query("select * from ops.taken_marks") == world.query("select mark_id from ops.dirty_buckets") == []
    again = answer(command(world, "--days", "7", "--local", "--json"))["tables"]
    assert {name: each["drift"] for name, each in again.items() if each["drift"]} == {}


@pytest.mark.services
def test_only_the_tables_that_were_named_are_touched(world: World) -> None:
    world.produce(encoded(event()))
    world.ingest()
    world.refresh()
    world.query("update analytics.events_hourly set users = 7")
    world.query("update analytics.pages_hourly set users = 7")
    assert command(world, "--days", "1", "--local", "--tables", "pages_hourly").exit_code == 0
    assert world.one("select users::int from analytics.events_hourly") == 7
    assert world.one("select users::int from analytics.pages_hourly") == 1


@pytest.mark.services
def test_what_lies_behind_the_retention_frontier_is_refused_with_the_reason(world: World) -> None:
    world.query("insert into ops.retention_frontier (frontier) values ('2026-05-01')")
    result = command(world, "--from", "2026-04-30", "--to", "2026-05-02", "--local")
    assert result.exit_code == 2
    assert "raw events before 2026-05-01 00:00 UTC were dropped" in result.output
