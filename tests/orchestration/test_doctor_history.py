"""The doctor names the tables that lack days, and says what to do."""

import pytest

from orchestration.cli.doctor.history import examine
from tests.support.world import World

pytestmark = pytest.mark.services


def test_all_is_well_where_every_table_is_whole(world: World) -> None:
    assert [(f.name, f.level) for f in examine(world.settings)] == [("aggregates", "OK")]


def test_a_table_that_lacks_days_and_one_that_nobody_has_looked_at_yet_are_named(world: World) -> None:
    world.query("update ops.aggregate_history set missing = '{[2026-01-01,2026-01-04)}' where name = 'sessions'")
    world.query("delete from ops.aggregate_history where name = 'pages_hourly'")
    found = list(examine(world.settings))
    assert [f.level for f in found] == ["WARN", "WARN"]
    assert {f.text for f in found} == {
        "sessions lacks 3 days, 2026-01-01 to 2026-01-03",
        "nothing is known of pages_hourly",
    }
    assert all("fill_history" in f.advice for f in found)


def test_where_nobody_can_tell_it_says_so_and_does_not_fail(world: World) -> None:
    away = world.settings.model_copy(update={"postgres_url": "postgresql://nobody@127.0.0.1:1/none"})
    assert [f.level for f in examine(away)] == ["WARN"]
