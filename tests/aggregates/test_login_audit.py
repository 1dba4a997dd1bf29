"""The audit of logins is exact: whatever comes late and in whatever batches, and at a cost that follows what came."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.aggregates.drift import Drift
from assets.aggregates.exclusive import prepare
from assets.aggregates.login_audit import AuditRules
from assets.aggregates.sql import statement
from assets.ingest.partitions import Partitions
from resources.postgres import Connection, Postgres
from tests.aggregates.login_audit_bench import NOON, Bench, Visit, expected_audit, expected_hours, visits
from tests.support.world import World

pytestmark = pytest.mark.services

SMALL = AuditRules(
    window=timedelta(minutes=30),
    users_per_address=2,
    addresses_per_user=2,
    burst_window=timedelta(minutes=10),
    burst_logins=3,
    session=timedelta(minutes=60),
)


@pytest.fixture(scope="module")
def connection(long_world: World) -> Iterator[Connection]:
    with Postgres(long_world.settings.postgres_url).connect("test") as opened:
        prepare(opened)
        days = [int((NOON + timedelta(days=n)).timestamp()) * 1_000_000 for n in range(20)]
        Partitions().ensure(opened, days, NOON.date())
        opened.prepare_threshold = None
        yield opened


@pytest.fixture
def bench(connection: Connection) -> Iterator[Bench]:
    """In a transaction that is rolled back."""
    connection.execute("begin")
    yield Bench(connection, AuditRules())
    connection.execute("rollback")


def moments() -> st.SearchStrategy[float]:
    """Minutes: on the edges of the windows, and equal ones."""
    return st.one_of(st.sampled_from([0.0, 10, 20, 30, 60, 90]), st.integers(0, 150).map(float))


def worlds(most: int = 14) -> st.SearchStrategy[list[Visit]]:
    visit = st.builds(
        Visit,
        at=moments().map(lambda minute: NOON + timedelta(minutes=minute)),
        number=st.just(0),
        user=st.sampled_from("abc"),
        ip=st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        device=st.sampled_from(["phone", "tablet", "desk", "", None]),
        action=st.sampled_from(["login", "login", "logout"]),
    )
    return st.lists(visit, max_size=most).map(lambda found: [v._replace(number=n) for n, v in enumerate(found)])


def holds(bench: Bench, world: list[Visit]) -> None:
    expected = expected_audit(world, bench.rules)
    assert bench.audit() == expected
    assert bench.hours() == expected_hours(expected)


def many(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        database=None,
    )


@many(100)
@given(worlds(), st.data())
def test_any_order_and_any_batches_give_what_the_definitions_say(
    connection: Connection, world: list[Visit], data: st.DataObject
) -> None:
    batches: dict[int, list[Visit]] = {}
    for visit in world:
        batches.setdefault(data.draw(st.integers(0, 4)), []).append(visit)
    erased = data.draw(st.sampled_from([[], ["a"], ["a", "b"]]))
    gone = [v for v in world if v.user in erased and data.draw(st.integers(0, 3))]  # others came meanwhile
    connection.execute("begin")
    try:
        bench = Bench(connection, SMALL)
        for number in sorted(batches):
            bench.merge(batches[number])
        holds(bench, world)
        if erased:
            bench.delete(gone)
            bench.forget(erased)
            holds(bench, [v for v in world if v not in gone])
    finally:
        connection.execute("rollback")


@many(60)
@given(worlds(10), st.data())
def test_a_rebuild_repairs_whatever_is_wrong_in_its_range_and_what_that_reached(
    connection: Connection, world: list[Visit], data: st.DataObject
) -> None:
    """Of the range some events were never taken in, others were taken in and are gone, others have wrong values."""
    low = NOON + timedelta(minutes=data.draw(st.sampled_from([0, 10, 30])))
    high = NOON + timedelta(minutes=data.draw(st.sampled_from([31, 60, 120])))
    fates = {v: data.draw(st.sampled_from(["kept", "new", "gone", "spoilt"])) for v in world if low <= v.at < high}
    connection.execute("begin")
    try:
        bench = Bench(connection, SMALL)
        bench.merge([v for v in world if fates.get(v) != "new"])
        bench.store([v for v, fate in fates.items() if fate == "new"])
        connection.execute(
            "delete from raw.events where event_id = any(%s)", ([v.event_id for v in fates if fates[v] == "gone"],)
        )
        connection.execute(
            "update analytics.login_audit set ip = '192.0.2.2', user_id = 'b', flags = '{burst}'"
            " where event_id = any(%s)",
            ([v.event_id for v in fates if fates[v] == "spoilt"],),
        )
        found = bench.rebuild(low, high)
        truth = [v for v in world if fates.get(v) != "gone"]
        assert found["login_audit"].rows == sum(low <= v.at < high for v in truth)
        assert found["login_audit"].drift >= sum(fate in ("new", "gone") for fate in fates.values())
        holds(bench, truth)
        assert bench.rebuild(low, high)["login_audit"].drift == 0
    finally:
        connection.execute("rollback")


@pytest.mark.parametrize("seed", range(3))
def test_crowded_addresses_and_busy_users_are_counted_right(bench: Bench, seed: int) -> None:
    """Where the last few logins do not decide, the rest of the window does; where many are judged, one pass does."""
    chance = random.Random(seed)
    bench.rules = SMALL
    world = [
        Visit(
            NOON + timedelta(seconds=chance.randrange(5_400)),
            n,
            user=chance.choices("ab", [40, 1])[0],
            ip=f"192.0.2.{chance.choices([1, 2], [40, 1])[0]}",
            action=chance.choices(["login", "logout"], [30, 1])[0],
        )
        for n in range(260)
    ]
    chance.shuffle(world)
    for batch in (world[:150], world[150:257], *([visit] for visit in world[257:])):
        bench.merge(batch)
    holds(bench, world)


def test_a_crowd_is_counted_as_far_back_as_the_window(bench: Bench) -> None:
    bench.rules = SMALL
    bench.merge(visits((0, "login", {"user": "b"})))
    crowd = [Visit(NOON + timedelta(seconds=1_785 + n), 10 + n, action="login") for n in range(30)]
    bench.merge(crowd)
    many = ["many_users_from_address" in flags for flags in bench.flags()]
    assert many == [False, *[True] * 15, *[False] * 15]


EDGES: list[tuple[str, list[Any], list[list[str]]]] = [
    ("a first login is never new", [(0, "login"), (1, "login")], [[], []]),
    ("a new device", [(0, "login"), (1, "login", {"device": "desk"})], [[], ["new_device"]]),
    (
        "no device is never new",
        [(0, "login"), (1, "login", {"device": None}), (2, "login", {"device": ""})],
        [[], [], []],
    ),
    ("12 h later a session is over", [(0, "login"), (720, "login", {"ip": "::1"})], [[], ["new_address"]]),
    (
        "just within 12 h it is open",
        [(0, "login"), (719.9, "login", {"ip": "::1"})],
        [[], ["new_address", "overlapping_sessions"]],
    ),
    (
        "a logout elsewhere leaves it open",
        [(0, "login"), (1, "logout", {"ip": "::2"}), (2, "login", {"ip": "::1"})],
        [[], [], ["new_address", "overlapping_sessions"]],
    ),
    ("a logout after 12 h", [(0, "login"), (720, "logout")], [[], ["logout_without_login"]]),
    ("two logouts", [(0, "login"), (1, "logout"), (2, "logout")], [[], [], ["logout_without_login"]]),
    ("four logins in a minute", [(n / 5, "login") for n in range(4)], [[]] * 4),
    ("five logins in a minute", [(n / 5, "login") for n in range(5)], [[]] * 4 + [["burst"]]),
    ("five logins in just over", [(n / 4, "login") for n in range(5)], [[]] * 5),
    ("nine users", [(n, "login", {"user": f"u{n}"}) for n in range(9)], [[]] * 9),
    ("ten users", [(n, "login", {"user": f"u{n}"}) for n in range(10)], [[]] * 9 + [["many_users_from_address"]]),
]


@pytest.mark.parametrize(("described", "flags"), [edge[1:] for edge in EDGES], ids=[edge[0] for edge in EDGES])
def test_a_flag_begins_and_ends_where_its_definition_says(bench: Bench, described: Any, flags: list[list[str]]) -> None:
    bench.merge(visits(*described))
    assert bench.flags() == flags


def test_a_late_login_takes_the_flag_of_a_new_device_from_one_months_later(bench: Bench) -> None:
    first, *others = visits(
        (0, "login"), (1, "login"), (2, "login", {"device": "desk"}), (3, "login", {"device": "desk"})
    )
    later = [v._replace(at=v.at + timedelta(days=2)) for v in others]
    bench.merge([first, *later])
    assert bench.flags() == [[], [], ["new_device"], []]
    bench.merge([first._replace(at=first.at + timedelta(hours=13), number=9, device="desk")])
    assert bench.flags() == [[], ["new_device"], [], [], []]
    assert [hour[0].day for hour in bench.hours() if hour[5]] == [2]


def test_rebuilding_what_is_right_writes_nothing(bench: Bench) -> None:
    bench.merge(visits((0, "login"), (1, "login", {"ip": "::1"}), (70, "logout")))
    rows = "select ctid::text from analytics.login_audit union all select ctid::text from analytics.logins_hourly"
    before = bench.connection.execute(rows.encode()).fetchall()
    found = bench.rebuild(NOON, NOON + timedelta(days=1))
    assert found == {"login_audit": Drift(3, 0), "logins_hourly": Drift(2, 0)}
    assert bench.connection.execute(rows.encode()).fetchall() == before


def test_new_rules_reach_old_rows_by_a_rebuild(bench: Bench) -> None:
    bench.merge(visits((0, "login"), (0, "login")))
    bench.rules = AuditRules(burst_logins=2)
    found = bench.rebuild(NOON, NOON + timedelta(hours=1))
    assert found == {"login_audit": Drift(2, 1), "logins_hourly": Drift(1, 1)}
    assert bench.flags() == [[], ["burst"]]


def test_a_rebuild_plans_only_the_partitions_of_its_range(bench: Bench) -> None:
    midnight = NOON.replace(hour=0)
    bounds = {"low": midnight, "high": midnight + timedelta(days=1)}
    with psycopg.ClientCursor(bench.connection) as cursor:
        plan = cursor.execute(b"explain " + statement("login_audit_differences"), bounds).fetchall()
    scanned = {word for (line,) in plan for word in line.split() if word.startswith("events_") and "idx" not in word}
    assert {word.removesuffix("_pkey") for word in scanned} == {f"events_{midnight:%Y%m%d}"}


_FILL = """
insert into analytics.login_audit
select gen_random_uuid(), %s::timestamptz + n * interval '5 seconds',
    case when n %% 3 = 0 then 'busy' else 'u' || n %% 1000 end, 'login', '10.0.0.' || n %% 251, 'd' || n %% 7, '{}'
from generate_series(1, 300000) as n
"""
_READ = "select seq_scan, idx_tup_fetch from pg_stat_xact_user_tables where relid = 'analytics.login_audit'::regclass"


def test_one_login_into_a_large_table_reads_a_few_rows(bench: Bench) -> None:
    """Of a table of 300,000 logins, 100,000 of them of one user, neither a late login nor one in order reads much."""
    bench.connection.execute(_FILL.encode(), (NOON,))
    bench.connection.execute("analyze analytics.login_audit")
    # Late, it opens a session beside some 240 logins of the busy user. The table was filled without flags, so a handful
    # of later logins get theirs now, and logins_hourly counts their hours again, 720 rows each.
    for number, (user, days, most) in enumerate([("busy", 10, 12_000), ("busy", 18, 500), ("u7", 10, 8_000)]):
        before = _read(bench)
        bench.merge([Visit(NOON + timedelta(days=days), number, user=user, ip="10.0.0.7", device="d1")])
        scans, rows = (now - then for now, then in zip(_read(bench), before, strict=True))
        assert scans == 0
        assert rows < most, (user, days)


def _read(bench: Bench) -> tuple[int, int]:
    [(scans, rows)] = bench.connection.execute(_READ.encode()).fetchall()
    return scans, rows
