"""How long Redis knows an id, and what becomes of events when it forgets, races or holds what another release wrote.

What belongs here: claims in a real Redis. What does not: what a claim means (`test_claim`), who may be believed
(`tests/security/test_redis_claims.py`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from assets.ingest import claims as layout
from infra.local.harness import Running
from tests.support import claims
from tests.support.world import World, encoded, event, fresh_world, out_of_balance

pytestmark = pytest.mark.services

WINDOW = 20_000 * 3_600_000


@pytest.fixture
def world(services: Running, tmp_path: Path) -> Iterator[World]:
    """With a window so long that no period ends by itself while a test runs; and a Redis that knows nothing."""
    with fresh_world(services, tmp_path, MILLRACE_DEDUP_WINDOW="20000h") as made:
        made.worker.redis.call(lambda client: client.flushall())
        yield made


def another_time(one: dict[str, Any], **ago: float) -> dict[str, Any]:
    """The same id under another time: only Redis knows it again."""
    return {**one, "timestamp": (datetime.fromisoformat(one["timestamp"]) - timedelta(**ago)).isoformat()}


def ingested(world: World, *events: dict[str, Any]) -> None:
    world.produce(encoded(*events))
    world.ingest()


def found_by(world: World) -> tuple[int, int]:
    """Duplicates that Redis proved, and those that PostgreSQL found."""
    [found] = world.query("select sum(duplicates_redis)::int, sum(duplicates_postgres)::int from ops.batches")
    return found[0], found[1]


@pytest.mark.parametrize("periods", [0, 1])
def test_an_id_is_known_in_its_period_and_in_the_whole_next_one(world: World, periods: int) -> None:
    one = event()
    ingested(world, one)
    claims.periods_pass(world, periods)
    ingested(world, one, another_time(one, hours=1))
    assert found_by(world) == (1, 0)
    assert world.dead_letters() == [(2, "event_id_conflict")]  # the id was known; PostgreSQL saw that it is no retry
    assert out_of_balance(world.reconcile()) == []


def test_a_period_is_longer_than_the_window() -> None:
    begin, window = 1_000_000, 60_000
    names = {layout.Period(window, (begin + second, 0)).key(0) for second in range(61)}
    assert len(names) <= 2
    old, new = layout.Period(window, (begin, 0)), layout.Period(window, (begin + 60, 0))
    assert old.key(0) in (new.key(0), new.key(0, 1))


def test_after_two_periods_an_id_is_forgotten_and_postgres_knows_it_by_its_time(world: World) -> None:
    one = event()
    ingested(world, one)
    claims.periods_pass(world, 2)
    ingested(world, one)
    assert found_by(world) == (0, 1)
    assert world.totals()["stored"] == 1


def test_what_is_looked_up_no_more_is_dropped_by_the_next_claims_and_expires_by_itself(world: World) -> None:
    ingested(world, *(event() for _ in range(100)))
    claims.periods_pass(world, 2)
    old = claims.hashes(world)
    assert len(old) > 1
    ingested(world, event())
    assert not set(old) & set(claims.hashes(world))
    [name] = claims.hashes(world)
    left: int = world.worker.redis.call(lambda client: client.pttl(name))
    assert WINDOW < left < 3 * WINDOW


def test_when_both_periods_are_lost_nothing_is_stored_twice(world: World) -> None:
    values = [event() for _ in range(30)]
    ingested(world, *values)
    claims.periods_pass(world, 1)
    ingested(world, *(event() for _ in range(30)))
    world.worker.redis.call(lambda client: client.flushall())
    ingested(world, *values)
    assert (world.totals()["stored"], world.totals()["duplicates"]) == (60, 30)
    assert out_of_balance(world.reconcile()) == []


def test_of_an_id_that_comes_again_in_one_chunk_the_first_record_is_stored(world: World) -> None:
    ones = [event() for _ in range(40)]
    ingested(world, *ones, *ones, *ones[:5])
    assert (world.totals()["stored"], found_by(world)) == (40, (45, 0))
    assert world.one("select max(kafka_offset)::int from raw.events") == 39


def test_two_records_that_claim_an_id_at_the_same_moment_are_settled_by_postgres(world: World) -> None:
    """Both look before either claims: each is taken for new."""
    one = event()
    ingested(world, one)
    claims.forget(world, UUID(one["eventId"]).bytes)
    ingested(world, one)
    assert found_by(world) == (0, 1)
    ingested(world, one)  # finds the claim of the second, which is committed as a duplicate of the first
    assert found_by(world) == (1, 1)
    assert world.totals()["stored"] == 1


def test_claims_of_the_release_before_are_honoured_until_they_expire(world: World) -> None:
    ones = [event() for _ in range(70)]
    ingested(world, *ones)
    redis = world.worker.redis
    for one in ones:  # as that release kept them
        event_id = UUID(one["eventId"]).bytes
        claim = claims.find(world, event_id)
        redis.call(lambda client, key=b"mr:" + event_id, claim=claim: client.set(key, claim, px=600_000))
        claims.forget(world, event_id)
    ingested(world, *ones, another_time(ones[0], hours=1))
    assert found_by(world) == (70, 0)
    assert world.dead_letters() == [(140, "event_id_conflict")]


def test_ids_that_differ_in_one_part_alone_are_spread_over_the_shards(world: World) -> None:
    ids = [UUID(int=i << shift).bytes for shift in (0, 64, 120) for i in range(1, 65)]
    redis = world.worker.redis
    redis.call(lambda client: layout.ask(client, ids, bytes(len(ids) * layout.SIZE), WINDOW))
    assert len(claims.hashes(world)) == 16
    assert redis.call(lambda client: layout.ask(client, [*ids, uuid4().bytes], b"", WINDOW)).keys() == {
        *range(len(ids))
    }


def test_more_ids_than_go_at_once_are_claimed_and_found(world: World) -> None:
    ids = [uuid4().bytes for _ in range(30_000)]
    packed = b"".join(i + i + i[:12] for i in ids)
    redis = world.worker.redis
    assert redis.call(lambda client: layout.ask(client, ids, packed, WINDOW)) == {}
    found = redis.call(lambda client: layout.ask(client, ids[::-1], packed, WINDOW))
    assert [found[i][:16] for i in range(len(ids))] == ids[::-1]


def test_a_claim_in_the_future_of_the_worker_is_found_by_redis_clock(world: World) -> None:
    """Periods go by Redis' clock: workers whose clocks differ look into the same hashes."""
    one = event(timestamp=datetime.now(UTC).isoformat())
    ingested(world, one)
    seconds, _ = world.worker.redis.call(lambda client: client.time())
    number = seconds * 1000 // (WINDOW + 60_000)
    assert {int(name.split(b":")[2]) for name in claims.hashes(world)} == {number}
