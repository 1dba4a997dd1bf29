"""Tables that count facts by day, by an example that no release has: what arrives is added, what is erased subtracted.

What belongs here: the kind. What does not: that CONTRIBUTING.md's example holds against pandas (`tests.contributing`).
"""

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql
from sqlalchemy import BigInteger, Column, Date, MetaData, Table, Text

from assets.aggregates import daily, rebuild
from assets.aggregates.declare import Aggregate, PreviewSpec
from resources.postgres import DatabaseFailed, no_rows_in_errors
from tests.aggregates.compare import Stage
from tests.aggregates.streams import at
from tests.erasure.support import erase

pytestmark = pytest.mark.services

_KEY = (Column("day", Date, primary_key=True), Column("device", Text, primary_key=True))
DEVICES = Aggregate(
    Table("devices_daily", MetaData(), *_KEY, Column("views", BigInteger), Column("users", BigInteger), schema="ops"),
    grain="day",
    time_column="day",
    preview=PreviewSpec("day desc"),
    count="views",
)
FACTS = """
select e.day, e.user_id, coalesce(e.payload ->> 'device', '') as device from events as e where e.type = 'page_view'
"""
TRUTH = """
select occurred_at::date::text, coalesce(payload ->> 'device', ''), count(*)::int, count(distinct user_id)::int
from raw.events where type = 'page_view' group by 1, 2 order by 1, 2
"""


@pytest.fixture
def devices(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A database that has the table, and a release that declares it."""
    stage.world.query(
        "create table ops.devices_daily"
        " (day date, device text, views bigint not null, users bigint not null, primary key (day, device))"
    )
    for module in (daily, rebuild):
        monkeypatch.setattr(module, "COUNTED_BY_DAY", (DEVICES,))
    monkeypatch.setattr(daily, "facts", lambda _name: sql.SQL(FACTS))  # pyright: ignore[reportUnknownLambdaType]
    yield stage
    stage.world.query("drop table if exists ops.devices_daily")


def taken_in(stage: Stage, *events: Any) -> list[tuple[Any, ...]]:
    """Send, refresh, and the rows; they are what raw.events says."""
    stage.send(*events)
    stage.world.refresh()
    return held(stage)


def held(stage: Stage) -> list[tuple[Any, ...]]:
    found = stage.world.query("select day::text, device, views::int, users::int from ops.devices_daily order by 1, 2")
    assert found == stage.world.query(TRUTH)
    members = "select count(distinct (member, day))::int, coalesce(sum(events), 0)::int from ops.day_members"
    assert stage.world.query(members) == [(sum(row[3] for row in found), sum(row[2] for row in found))]
    return found


def test_a_user_is_counted_once_a_day_and_key_however_the_events_come(devices: Stage) -> None:
    one = at("2026-07-15T10:00", "ann", device="phone")
    assert taken_in(devices, one, at("2026-07-15T23:59:59.9", "bob", device="phone")) == [("2026-07-15", "phone", 2, 2)]
    late = [at("2026-07-15T00:00", "ann", device="phone"), at("2026-07-15T09:00", "ann"), at("2026-07-16T00:00", "ann")]
    assert taken_in(devices, one, *late) == [
        ("2026-07-15", "", 1, 1),
        ("2026-07-15", "phone", 3, 2),
        ("2026-07-16", "", 1, 1),
    ]


def test_what_is_erased_is_subtracted_and_rows_without_events_go(devices: Stage) -> None:
    taken_in(
        devices,
        *(at(f"2026-07-15T1{n}:00", user, device="phone") for n in range(3) for user in ("ann", "bob")),
        at("2026-07-16T10:00", "bob", device="tv"),
    )
    erase(devices.world, "bob")
    assert held(devices) == [("2026-07-15", "phone", 3, 1)]
    assert taken_in(devices, at("2026-07-15T13:00", "ann", device="phone")) == [("2026-07-15", "phone", 4, 1)]


def test_a_rebuild_repairs_rows_and_members_and_says_how_many_rows_were_wrong(devices: Stage) -> None:
    taken_in(devices, *(at(f"2026-07-15T10:0{n}", f"user {n}", device="tv") for n in range(5)))
    devices.world.query("update ops.devices_daily set users = 9")
    devices.world.query("insert into ops.devices_daily values ('2026-07-15', 'none', 1, 1)")
    devices.world.query("delete from ops.day_members where member in (select member from ops.day_members limit 2)")
    [(low, high)] = devices.spans()
    with devices.world.aggregates.alone() as connection:
        found = daily.rebuild(connection, DEVICES, low, high)
        again = daily.rebuild(connection, DEVICES, low, high)
    assert (found.rows, found.drift, again.rows, again.drift) == (1, 2, 1, 0)
    assert taken_in(devices, at("2026-07-15T11:00", "user 1", device="tv")) == [("2026-07-15", "tv", 6, 5)]


def test_a_null_in_a_key_is_reported_with_its_column_and_without_the_event(
    devices: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = FACTS.replace("coalesce(e.payload ->> 'device', '')", "e.payload ->> 'device'")
    monkeypatch.setattr(daily, "facts", lambda _name: sql.SQL(without))  # pyright: ignore[reportUnknownLambdaType]
    devices.send(at("2026-07-15T10:00", "ann"))
    assert failure(devices) == (
        'NotNullViolation 23502: null value in column "device" of relation "devices_daily" violates not-null constraint'
    )


def test_a_table_that_the_database_lacks_is_reported_with_the_command_that_makes_it(devices: Stage) -> None:
    devices.world.query("drop table ops.devices_daily")
    devices.send(at("2026-07-15T10:00", "ann"))
    assert failure(devices) == (
        'UndefinedTable 42P01: relation "ops.devices_daily" does not exist;'
        " if the schema is older than this code, run `millrace migrate`"
    )


def failure(stage: Stage) -> str:
    """What a refresh fails with, as Dagster shows it."""
    with pytest.raises(DatabaseFailed) as raised, no_rows_in_errors():
        stage.world.refresh()
    return str(raised.value)
