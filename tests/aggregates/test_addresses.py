"""Addresses are compared as addresses: whoever writes one differently comes from the same place.

What belongs here: spellings of addresses in the audit of logins, its hours and the profiles.
"""

import ipaddress
import random

import pytest

from tests.aggregates.compare import Stage
from tests.aggregates.streams import at

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
