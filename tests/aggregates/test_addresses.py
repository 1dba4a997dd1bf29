"""Addresses are compared as addresses: whoever writes one differently comes from the same place.

What belongs here: spellings of addresses in the audit of logins, its hours and the profiles; and what is known of who
was seen at which address.
"""

import ipaddress
import random
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command

from infra.postgres.migrate import config, engine, migrate
from tests.aggregates.compare import Stage
from tests.aggregates.streams import at
from tests.aggregates.work import work_of_a_refresh
from tests.erasure.support import erase

pytestmark = pytest.mark.services

NOON = "2026-07-15T12:{:02}:00"
SPELLINGS = [
    "2001:db8::1",
    "2001:DB8::1",
    "2001:db8:0:0:0:0:0:1",
    "2001:0db8:0000:0000:0000:0000:0000:0001",
    "2001:db8::0:1",
    "2001:db8::0.0.0.1",
]
MAPPED = ["192.0.2.7", "::ffff:192.0.2.7", "::FFFF:c000:207", "0:0:0:0:0:ffff:192.0.2.7", "::ffff:c000:0207"]


@pytest.mark.parametrize("spellings", [SPELLINGS, MAPPED])
def test_one_address_in_many_spellings_is_one_address(stage: Stage, spellings: list[str]) -> None:
    stage.send(*(at(NOON.format(n), "ann", "login", ip=ip) for n, ip in enumerate(spellings)))
    stage.send(at(NOON.format(30), "ann", "logout", ip=spellings[-1]))
    stage.send(at(NOON.format(31), "ann", "login", ip=spellings[0]))
    assert stage.settled() == []
    assert {tuple(row[-1]) for row in stage.rows("login_audit")} == {()}
    assert [row[4] for row in stage.rows("logins_hourly")] == [1]
    assert [row[-1] for row in stage.rows("user_profiles")] == [str(ipaddress.ip_address(spellings[0]))]
    assert sorted({row[4] for row in stage.rows("login_audit")}) == sorted(spellings)
    assert stage.rebuild() == {}


@pytest.mark.parametrize("spellings", [SPELLINGS, MAPPED])
def test_many_users_come_from_one_address_however_it_is_written(stage: Stage, spellings: list[str]) -> None:
    users = [at(NOON.format(n), f"user {n}", "login", ip=spellings[n % len(spellings)]) for n in range(12)]
    stage.send(*users)
    assert stage.settled() == []
    flagged = "select count(*) from analytics.login_audit where 'many_users_from_address' = any(flags)"
    assert stage.world.one(flagged) == 3


def test_every_address_is_written_in_one_way_and_what_is_none_stays(stage: Stage) -> None:
    draw = random.Random(3)
    made = [
        ipaddress.IPv6Address(draw.getrandbits(128) & draw.choice([-1, 0xFFFF << 100 | 0xFFFF])) for _ in range(200)
    ]
    for each in made:
        found = {
            stage.world.one("select ops.canonical_address(%s)", text)
            for text in (str(each), each.exploded, each.exploded.upper())
        }
        assert len(found) == 1
        assert ipaddress.ip_address(found.pop()) == each
    for text in ("198.51.100.1", "fe80::1%eth0", "a:b", ":", "", "no address"):
        assert stage.world.one("select ops.canonical_address(%s)", text) == text


PAIRS = "select user_id, address from ops.login_addresses order by 1, 2"
STORED = "select distinct user_id, address from analytics.login_audit where address is not null order by 1, 2"


def seen(stage: Stage) -> None:
    """Two people at one address, one of them at another one, too."""
    for minute, (user, ip) in enumerate([("ann", "192.0.2.7"), ("bob", "192.0.2.7"), ("ann", "192.0.2.8")]):
        stage.send(at(NOON.format(minute), user, "login", ip=ip))
    assert stage.settled() == []


def test_it_is_known_who_was_seen_at_which_address_and_on_which_day_last(stage: Stage) -> None:
    seen(stage)
    stage.send(at("2026-07-16T00:00:01", "bob", "logout", ip="192.0.2.7"))
    stage.send(at("2026-07-14T10:00", "bob", "login", ip="192.0.2.7"))
    assert stage.settled() == []
    assert stage.world.query(PAIRS) == stage.world.query(STORED)
    days = "select user_id, seen_on::text from ops.login_addresses where address = '192.0.2.7'"
    found = dict(stage.world.query(days))
    assert found == {"ann": "2026-07-15", "bob": "2026-07-16"}


def test_who_is_erased_was_seen_nowhere_and_who_comes_back_is_seen_again(stage: Stage) -> None:
    seen(stage)
    erase(stage.world, "ann")
    assert stage.world.query(PAIRS) == stage.world.query(STORED) == [("bob", "192.0.2.7")]
    stage.send(at(NOON.format(30), "ann", "login", ip="192.0.2.9"))
    stage.world.refresh()
    assert stage.world.query(PAIRS) == [("ann", "192.0.2.9"), ("bob", "192.0.2.7")]


def test_rows_that_any_release_writes_or_deletes_are_followed(stage: Stage) -> None:
    seen(stage)
    stage.world.query(
        "insert into analytics.login_audit (occurred_at, event_id, user_id, action, ip, flags)"
        " values ('2026-07-15T13:00Z', gen_random_uuid(), 'joe', 'login', '::ffff:192.0.2.7', '{}')"
    )
    stage.world.query("delete from analytics.login_audit where user_id = 'ann' and ip = '192.0.2.8'")
    assert stage.world.query(PAIRS) == stage.world.query(STORED)
    assert stage.rebuild() != {}
    assert stage.world.query(PAIRS) == stage.world.query(STORED)


def test_a_database_of_the_release_before_knows_who_was_seen_once_it_is_migrated(stage: Stage) -> None:
    seen(stage)
    before = stage.world.query(PAIRS)
    with engine(stage.world.settings.postgres_url).connect() as connection:
        command.downgrade(config(connection), "0019")
        connection.commit()
    migrate(stage.world.settings.postgres_url)
    assert stage.world.query(PAIRS) == before
    for n in range(9):
        stage.send(at(NOON.format(40), f"user {n}", "login", ip="192.0.2.7"))
    assert stage.settled() == []


def test_a_login_is_judged_by_as_few_rows_after_400_logins_as_after_40(stage: Stage) -> None:
    """Of one user, from one address, within a window: neither the user's rows nor the address's are read all."""

    def work_of_one_more(user: str, ip: str, before: int) -> int:
        start = datetime(2026, 7, 15, 12, tzinfo=UTC)
        stage.send(*(at(start + timedelta(seconds=5 * n), user, "login", ip=ip) for n in range(before)))
        assert stage.settled() == []
        stage.send(at(start + timedelta(seconds=5 * before), user, "login", ip=ip))
        work = work_of_a_refresh(stage.world.aggregates)
        assert stage.settled() == []
        return sum(count for text, count in work.items() if "insert into audit_" in text)

    assert work_of_one_more("bob", "192.0.2.8", 400) < 1.5 * work_of_one_more("ann", "192.0.2.7", 40)
