"""Floods of logins: exact when logins come late into them, and at a cost that follows what came."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from assets.aggregates.exclusive import prepare
from assets.aggregates.login_audit import AuditRules
from assets.ingest.partitions import Partitions
from resources.postgres import Connection, Postgres
from tests.aggregates import work
from tests.aggregates.login_audit_bench import NOON, Bench, Visit, expected_audit, expected_hours
from tests.support.world import World

pytestmark = pytest.mark.services

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
SMALL = AuditRules(
    window=timedelta(minutes=10),
    users_per_address=3,
    addresses_per_user=3,
    burst_window=timedelta(minutes=1),
    burst_logins=4,
    session=timedelta(minutes=40),
)
LOGINS = 400


@pytest.fixture(scope="module")
def connection(long_world: World) -> Iterator[Connection]:
    with Postgres(long_world.settings.postgres_url).connect("test") as opened:
        prepare(opened)
        days = [int((NOON + timedelta(days=n)).timestamp()) * 1_000_000 for n in range(8)]
        Partitions().ensure(opened, days, NOON.date())
        opened.prepare_threshold = None
        yield opened


@pytest.fixture
def bench(connection: Connection) -> Iterator[Bench]:
    """In a transaction that is rolled back; what others left behind is not walked over."""
    connection.execute("vacuum analytics.login_audit")
    connection.execute("begin")
    yield Bench(connection, AuditRules())
    connection.execute("rollback")


def holds(bench: Bench, world: list[Visit]) -> None:
    expected = expected_audit(world, bench.rules)
    assert bench.audit() == expected
    assert bench.hours() == expected_hours(expected)


def flood(chance: random.Random, number: int) -> Visit:
    """Of five users, of whom one does most, from three addresses; many at the same moment."""
    return Visit(
        NOON + timedelta(seconds=chance.choice([chance.randrange(7_200), 60 * chance.randrange(120)])),
        number,
        user=chance.choices("abcde", [30, 3, 3, 2, 1])[0],
        ip=f"192.0.2.{chance.choices([1, 2, 3], [30, 3, 1])[0]}",
        device=chance.choice(["phone", "phone", "desk", None]),
        action=chance.choices(["login", "logout"], [6, 1])[0],
    )


@pytest.mark.parametrize("seed", range(4))
def test_logins_that_come_late_into_a_flood_leave_what_the_definitions_say(bench: Bench, seed: int) -> None:
    chance, bench.rules = random.Random(seed), SMALL
    world = [flood(chance, number) for number in range(240)]
    in_order, late = sorted(world[:150]), world[150:]
    for batch in (in_order[:70], in_order[70:], late[:60], *([visit] for visit in late[60:65]), late[65:]):
        bench.merge(batch)
    holds(bench, world)
    found = bench.rebuild(NOON, NOON + 2 * HOUR)
    assert {name: drift.drift for name, drift in found.items()} == {"login_audit": 0, "logins_hourly": 0}
    gone = [v for v in world if v.user == "a" and v.number % 40]  # the others came meanwhile
    bench.delete(gone)
    bench.forget(["a"])
    holds(bench, [v for v in world if v not in gone])


@pytest.mark.parametrize("seed", range(2))
def test_a_rebuild_of_a_part_of_a_flood_reaches_what_comes_behind_it(bench: Bench, seed: int) -> None:
    chance, bench.rules = random.Random(seed), SMALL
    world = [flood(chance, number) for number in range(150)]
    low, high = NOON + timedelta(minutes=20), NOON + timedelta(minutes=45)
    bench.merge([v for v in world if not low <= v.at < high or v.number % 2])
    bench.store([v for v in world if low <= v.at < high and not v.number % 2])
    bench.rebuild(low, high)
    holds(bench, world)


Arrival = Callable[[int, int], list[Visit]]


def of_many_users(logins: int, day: int) -> list[Visit]:
    return [
        Visit(NOON + timedelta(days=day, seconds=n), n + 10_000 * day, user=f"{day} {n}", ip=f"192.0.2.{n % 2}")
        for n in range(logins)
    ]


def of_one_user(logins: int, day: int) -> list[Visit]:
    return [visit._replace(user="one") for visit in of_many_users(logins, day)]


@pytest.mark.parametrize("late", [False, True], ids=["in order", "late"])
@pytest.mark.parametrize("arrival", [of_many_users, of_one_user])
def test_a_flood_twice_as_large_is_twice_the_work(bench: Bench, arrival: Arrival, late: bool) -> None:
    once, twice = (taken_in(bench, arrival(size, day), late) for size, day in ((LOGINS, 0), (2 * LOGINS, 2)))
    assert once > LOGINS, "nothing was counted"
    assert twice < 2.2 * once


def taken_in(bench: Bench, visits: list[Visit], late: bool) -> int:
    """The work of taking in a flood, or the half of one whose other half, between them, was there before."""
    if late:
        bench.merge(visits[::2])
        visits = visits[1::2]
    with work.counting() as counted:
        bench.merge(visits)
    return counted.total()


_WRITTEN = "select n_tup_ins, n_tup_upd from pg_stat_xact_user_tables where relid = 'analytics.login_audit'::regclass"


def test_logins_that_come_in_order_are_written_once_with_their_flags(bench: Bench) -> None:
    bench.rules = SMALL
    before = written(bench)
    bench.merge(of_many_users(40, 0))
    assert written(bench) == (before[0] + 40, before[1])
    assert sum("many_users_from_address" in flags for flags in bench.flags()) == 36


def written(bench: Bench) -> tuple[int, int]:
    """Rows inserted and updated so far; other transactions of the session may count too."""
    [row] = bench.connection.execute(_WRITTEN).fetchall()
    return row[0], row[1]


def test_forgetting_twice_as_many_logins_is_twice_the_work(bench: Bench) -> None:
    once, twice = (forgotten(bench, size, day) for size, day in ((LOGINS, 0), (2 * LOGINS, 2)))
    assert once > LOGINS, "nothing was counted"
    assert twice < 2.2 * once


def forgotten(bench: Bench, size: int, day: int) -> int:
    """One of two users who took turns at the same addresses goes."""
    visits = [v._replace(user=f"{day}{n // 2 % 2}") for n, v in enumerate(of_many_users(2 * size, day))]
    bench.merge(visits)
    bench.delete([visit for visit in visits if visit.user == f"{day}0"])
    with work.counting() as counted:
        bench.forget([f"{day}0"])
    return counted.total()


def test_one_more_login_costs_the_same_whatever_the_user_and_the_hour_hold(bench: Bench) -> None:
    """In order, and between them, behind a login from the same address."""
    few, many = (one_more(bench, held, day) for held, day in ((100, 1), (1_000, 4)))
    assert all(b < 1.3 * a + 200 for a, b in zip(few, many, strict=True)), (few, many)


_HELD = """
insert into analytics.login_audit (event_id, occurred_at, user_id, action, ip, device, flags)
select gen_random_uuid(), %(at)s::timestamptz + n * %(over)s / %(held)s,
    %(user)s || case when %(user)s = '' then n::text else '' end, 'login',
    coalesce(%(ip)s, '10.0.' || n / 250 || '.' || n %% 250), 'phone', '{}'
from generate_series(0, %(held)s - 1) as n
"""


def one_more(bench: Bench, held: int, day: int) -> list[int]:
    """One user holds nine hours of logins; three hours later others hold the hour, and the user comes again."""
    at, user = NOON + timedelta(days=day), f"busy {day}"
    lasting: dict[str, Any] = {"held": held, "over": 9 * HOUR}
    bench.connection.execute(_HELD.encode(), {**lasting, "at": at - 12 * HOUR, "user": user, "ip": "192.0.2.1"})
    bench.connection.execute(_HELD.encode(), {"held": held, "over": HOUR, "at": at, "user": "", "ip": None})
    bench.connection.execute("insert into analytics.logins_hourly values (%s, %s, 0, %s, %s, 0)", (at, *[held] * 3))
    counts: list[int] = []
    for number, moment in enumerate((at + 30 * 60 * SECOND, at - 12 * HOUR - SECOND)):
        with work.counting() as counted:
            bench.merge([Visit(moment, 90_000 + 10 * day + number, user=user)])
        counts.append(counted.total())
    return counts
