"""A table that an upgrade made, or whose definition changed, says which days it lacks, and they are filled.

What belongs here: what freshness says, the order and the end of filling, and a filling that is killed. What does not:
when a run is requested (`tests.sensors.test_aggregate_history`).
"""

from collections.abc import Collection
from datetime import date, timedelta

import pytest
from alembic import command

from assets.aggregates.catalog import FILLED, REBUILDABLE
from assets.aggregates.funnel import Funnel, FunnelStep
from assets.aggregates.history import FillStep, Missing, next_step
from assets.aggregates.sql import statement
from contract.contract import Contract
from infra.postgres.migrate import config, engine, migrate
from infra.postgres.views import views
from tests.aggregates.compare import Stage
from tests.aggregates.streams import at
from tests.support.world import World, encoded, event

services = pytest.mark.services
DAYS = [date(2026, 7, 6) + timedelta(days=n) for n in (0, 1, 2, 8, 30)]
NEW = Funnel((FunnelStep("logged in", "login"), FunnelStep("looked", "page_view")))


class Killed(BaseException):
    """As a process that is killed: nothing catches it."""


def a_history(stage: Stage) -> None:
    """Three users, some days, sessions over midnight, logins and forms; all is whole."""
    kinds = {"login": "01", "page_view": "09", "button_click": "09", "form_submit": "09"}
    events = [at(f"{day}T{h}:{10 * n:02}", f"u{n}", k) for day in DAYS for n in range(3) for k, h in kinds.items()]
    for day in DAYS:
        events += [at(f"{day}T23:50", "u1"), at(f"{day + timedelta(days=1)}T00:05", "u1")]
    stage.send(*events)
    assert stage.settled() == []
    assert lacking(stage) == {}


def lacking(stage: Stage) -> dict[str, tuple[int, str, str]]:
    """What freshness says that tables lack."""
    found = stage.world.query(
        "select aggregate, missing_days, oldest_missing::text, newest_missing::text from analytics.freshness"
        " where aggregate is not null"
    )
    return {name: (int(days), oldest, newest) for name, days, oldest, newest in found}


def make_new(stage: Stage, *names: str) -> None:
    """As an upgrade leaves tables that it made: empty, and without a row."""
    for name in names:
        stage.world.query(f"delete from {'ops' if name == 'user_days' else 'analytics'}.{name}")
        stage.world.query("delete from ops.aggregate_history where name = %s", name)


def test_every_table_that_can_be_rebuilt_is_in_the_view() -> None:
    [freshness] = [view for view in views(Contract()) if view.name == "freshness"]
    assert set(FILLED) == REBUILDABLE
    assert all(name in freshness.query for name in FILLED)


def week(*days: int) -> list[tuple[date, date]]:
    return [(date(2026, 7, day), date(2026, 7, day)) for day in days]


@pytest.mark.parametrize(
    ("missing", "tables", "first", "last"),
    [
        ({"pages_hourly": week(1, 14, 16)}, {"pages_hourly"}, 14, 16),
        ({"pages_hourly": week(14), "forms_hourly": week(13, 16)}, {"pages_hourly", "forms_hourly"}, 13, 16),
        ({"pages_hourly": week(16), "sessions": week(2)}, {"pages_hourly"}, 16, 16),
        ({"user_days": week(2), "funnel_daily": week(2, 16)}, {"user_days"}, 2, 2),
        ({"user_profiles": week(2, 16), "retention_weekly": week(20)}, {"user_profiles"}, 2, 16),
        ({"login_audit": week(2, 16), "logins_hourly": week(2, 16)}, {"login_audit", "logins_hourly"}, 2, 2),
    ],
)
def test_the_newest_week_of_the_tables_whose_sources_are_whole_is_next(
    missing: Missing, tables: Collection[str], first: int, last: int
) -> None:
    assert next_step(missing) == FillStep(frozenset(tables), date(2026, 7, first), date(2026, 7, last))
    assert next_step({}) is None


@services
@pytest.mark.parametrize("name", FILLED)
def test_a_table_that_an_upgrade_made_says_what_it_lacks_and_is_filled(stage: Stage, name: str) -> None:
    a_history(stage)
    make_new(stage, name)
    assert lacking(stage)[name][1:] == ("2026-07-06", "2026-08-06")
    stage.send(at("2026-08-05T09:30", "u0"), at("2026-08-05T09:31", "u0", "login"), at("2026-07-07T09:31", "new"))
    stage.world.refresh()
    assert name in lacking(stage)
    stage.world.aggregates.fill()
    assert lacking(stage) == {}
    assert stage.wrong() == []
    assert stage.rebuild() == {}


@services
def test_the_other_tables_stay_right_beside_one_that_lacks_days(stage: Stage) -> None:
    a_history(stage)
    make_new(stage, "events_hourly")
    stage.send(at("2026-08-05T09:30", "u0"))
    stage.world.refresh()
    assert [line for line in stage.wrong() if not line.startswith("events_hourly")] == []


@services
def test_several_new_tables_at_once_are_filled(stage: Stage) -> None:
    a_history(stage)
    make_new(stage, *FILLED)
    stage.world.refresh()
    assert set(lacking(stage)) == set(FILLED)
    stage.world.aggregates.fill()
    assert (lacking(stage), stage.wrong()) == ({}, [])


@services
def test_an_upgrade_of_a_whole_database_fills_nothing(stage: Stage) -> None:
    a_history(stage)
    assert stage.world.aggregates.fill() == []


@services
def test_in_a_database_that_was_empty_when_it_was_made_every_table_is_whole(world: World) -> None:
    world.produce(encoded(event(), event()))
    world.ingest()
    world.refresh()
    assert world.query("select * from analytics.freshness") == []
    assert world.one("select count(*) from ops.aggregate_history") == len(FILLED)


@services
def test_the_upgrade_takes_what_the_release_before_kept_for_whole_and_not_what_it_made_itself(stage: Stage) -> None:
    a_history(stage)
    stage.world.query("delete from analytics.pages_hourly")
    with engine(stage.world.settings.postgres_url).connect() as connection:
        command.stamp(config(connection), "head")  # the stage was cleared
        command.downgrade(config(connection), "0012")
        connection.commit()
    migrate(stage.world.settings.postgres_url)
    assert set(lacking(stage)) == {"pages_hourly"}
    pieces = stage.world.aggregates.fill()
    assert {name for piece in pieces for name in piece.tables} == {"pages_hourly"}
    assert (lacking(stage), stage.wrong()) == ({}, [])


@services
def test_a_changed_funnel_is_named_and_its_days_follow(stage: Stage) -> None:
    a_history(stage)
    before, stage.world.aggregates.funnel = stage.world.aggregates.funnel, NEW
    try:
        stage.world.refresh()
        assert lacking(stage) == {"funnel_daily": (8, "2026-07-06", "2026-08-06")}
        stage.world.aggregates.fill()
        assert lacking(stage) == {}
        assert {row[2] for row in stage.rows("funnel_daily")} == {"logged in", "looked"}
    finally:
        stage.world.aggregates.funnel = before


@services
@pytest.mark.parametrize("commits", [1, 3, 5, 8])
def test_a_filling_that_is_killed_goes_on_where_it_stood(stage: Stage, commits: int) -> None:
    a_history(stage)
    make_new(stage, "pages_hourly", "user_days", "login_audit")
    left = commits

    def kill(where: str) -> None:
        nonlocal left
        left -= where == "aggregates_before_commit"
        if left < 0:
            raise Killed

    aggregates = stage.world.aggregates
    before, aggregates.failpoint = aggregates.failpoint, kill
    with pytest.raises(Killed):
        aggregates.fill()
    aggregates.failpoint = before
    stage.send(at("2026-07-06T09:45", "u2"), at("2026-08-05T01:45", "u0", "login"))
    stage.world.refresh()
    assert lacking(stage)
    aggregates.fill()
    assert (lacking(stage), stage.wrong()) == ({}, [])


@services
def test_days_behind_the_frontier_of_retention_are_not_waited_for(stage: Stage) -> None:
    a_history(stage)
    make_new(stage, "pages_hourly")
    stage.world.refresh()
    stage.world.query("insert into ops.retention_frontier (frontier) values ('2026-07-08 00:00Z')")
    pieces = stage.world.aggregates.fill()
    assert min(piece.first for piece in pieces) == date(2026, 7, 8)
    assert lacking(stage) == {}


@services
def test_a_filling_ends_when_the_frontier_overtakes_it(stage: Stage) -> None:
    a_history(stage)
    make_new(stage, "pages_hourly")
    stage.world.refresh()

    def drop_everything(_where: str) -> None:
        aggregates.failpoint = before
        stage.world.query("insert into ops.retention_frontier (frontier) values ('2026-09-01 00:00Z')")

    aggregates = stage.world.aggregates
    before, aggregates.failpoint = aggregates.failpoint, drop_everything
    assert len(aggregates.fill()) == 1
    assert lacking(stage) == {}


@services
def test_what_is_missing_is_found_at_the_cost_of_the_days_and_not_of_what_they_hold(stage: Stage) -> None:
    def pages_read(rows_a_day: int) -> int:
        stage.world.query("truncate analytics.events_minutely")
        stage.world.query(
            "insert into analytics.events_minutely (minute, type, events)"
            " select timestamptz '2017-01-01 00:00Z' + n * interval '1 day' + m * interval '1 minute', 'page_view', 1"
            " from generate_series(0, 299) as n, generate_series(1, %s) as m",
            rows_a_day,
        )
        stage.world.query("analyze analytics.events_minutely")
        text = "explain (analyze, buffers, format json) " + statement("days_with_events").decode()
        [[plan]] = stage.world.query(text)
        assert plan[0]["Plan"]["Actual Rows"] == 300
        return plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]

    assert pages_read(500) < 3 * pages_read(5)


@services
def test_time_ends_a_filling_between_two_weeks(stage: Stage) -> None:
    a_history(stage)
    make_new(stage, "pages_hourly")
    stage.world.refresh()
    assert stage.world.aggregates.fill(within=0) == []
    assert lacking(stage)["pages_hourly"] == (8, "2026-07-06", "2026-08-06")
