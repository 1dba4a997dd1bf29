"""Tables that are summed over the days of users, by an example that no release has."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from assets.aggregates import per_user, rebuild
from assets.aggregates.declare import Aggregate, PreviewSpec, measure, summed_by_user
from tests.aggregates.compare import Stage
from tests.aggregates.streams import at
from tests.erasure.support import erase

pytestmark = pytest.mark.services

_SUMS = ("days", "views", "login_days")
ACTIVITY = Aggregate(
    Table(
        "user_activity",
        MetaData(),
        Column("user_id", Text, primary_key=True),
        *(Column(name, BigInteger) for name in _SUMS),
        schema="ops",
    ),
    grain="user",
    time_column=None,
    preview=PreviewSpec("user_id"),
    sums=_SUMS,
)
FACTS = """
select d.user_id, d.page_views as views, (d.logins > 0)::integer as login_days
from days as d where d.page_views > 0 or d.logins > 0
"""
TRUTH = """
select user_id, count(distinct occurred_at::date)::int, (count(*) filter (where type = 'page_view'))::int,
    (count(distinct occurred_at::date) filter (where type = 'login'))::int
from raw.events where type in ('page_view', 'login') group by 1 order by 1
"""


@pytest.fixture
def activity(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A database that has the table, and a release that declares it."""
    sums = ", ".join(f"{name} bigint not null" for name in _SUMS)
    stage.world.query(f"create table ops.user_activity (user_id text primary key, {sums})")
    for module in (per_user, rebuild):
        monkeypatch.setattr(module, "SUMMED_BY_USER", (ACTIVITY,))
    monkeypatch.setattr(per_user, "facts", lambda _name: sql.SQL(FACTS))  # pyright: ignore[reportUnknownLambdaType]
    yield stage
    stage.world.query("drop table ops.user_activity")


def taken_in(stage: Stage, *events: Any) -> list[tuple[Any, ...]]:
    """Send, refresh, and the rows."""
    stage.send(*events)
    stage.world.refresh()
    return held(stage)


def held(stage: Stage) -> list[tuple[Any, ...]]:
    """The rows; they are what raw.events says."""
    rows = "select user_id, days::int, views::int, login_days::int from ops.user_activity order by 1"
    found = stage.world.query(rows)
    assert found == stage.world.query(TRUTH)
    return found


def test_days_that_change_are_taken_back_and_added_anew(activity: Stage) -> None:
    first = at("2026-07-15T10:00", "ann"), at("2026-07-15T10:00", "bob", "button_click")
    assert taken_in(activity, *first) == [("ann", 1, 1, 0)]
    late = at("2026-07-15T09:00", "ann", "login"), at("2026-07-14T09:00", "ann"), at("2026-07-15T11:00", "bob", "login")
    assert taken_in(activity, *late) == [("ann", 2, 2, 1), ("bob", 1, 0, 1)]
    assert taken_in(activity, at("2026-07-15T23:00", "ann", "login")) == [("ann", 2, 2, 1), ("bob", 1, 0, 1)]


def test_an_erased_user_has_no_row_also_where_the_table_lacked_the_users_days(activity: Stage) -> None:
    taken_in(activity, *(at(f"2026-07-1{n}T10:00", user) for n in (4, 5) for user in ("ann", "bob", "cid")))
    activity.world.query("delete from ops.user_activity where user_id = 'bob'")
    erase(activity.world, "ann")
    erase(activity.world, "bob")
    assert held(activity) == [("cid", 2, 2, 0)]


def test_a_rebuild_sums_the_users_of_a_range_anew(activity: Stage) -> None:
    taken_in(activity, *(at("2026-07-15T10:00", f"user {n}") for n in range(4)))
    activity.world.query("update ops.user_activity set views = 9 where user_id = 'user 1'")
    activity.world.query("delete from ops.user_activity where user_id = 'user 2'")
    with activity.world.aggregates.alone() as connection:
        users = [f"user {n}" for n in range(5)]
        found = per_user.rebuild(ACTIVITY, connection, users)
        again = per_user.rebuild(ACTIVITY, connection, users)
    assert (found.rows, found.drift, again.drift) == (4, 2, 0)
    assert len(held(activity)) == 4


def test_a_measure_names_the_columns_of_days_that_it_comes_from() -> None:
    with pytest.raises(ValueError, match=re.escape('clicks comes from days; measure(..., sources="ops.user_days.COL')):
        summed_by_user("user_clicks", "Clicks of a user.", measure("clicks", "Button clicks"))
