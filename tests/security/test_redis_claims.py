"""Who can write to the claims' Redis makes no true event a duplicate; PostgreSQL decides what a claim does not prove.

What belongs here: forged, moved and old claims in a real Redis. What does not: the judgement alone, which is
`ingest.test_claim`.
"""

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from assets.upkeep import reused_ids
from contract.decoder import Event
from tests.support import claims
from tests.support.world import World, encoded, event, out_of_balance

pytestmark = pytest.mark.services

# What every release writes: topic id, partition, offset, time, digest.
CLAIM = struct.Struct(">16siqq8s")


def decoded(world: World, value: bytes) -> Event:
    found = world.worker.decoder.decode(value, 2**52)
    assert isinstance(found, Event)
    return found


def topic_id(world: World) -> UUID:
    return world.one("select topic_id from ops.offsets where topic = %s", world.topic)


def plain(value: bytes) -> bytes:
    """What the releases before wrote, and what anybody can compute who knows the bytes."""
    return hashlib.blake2b(value, digest_size=8).digest()


def forge(world: World, value: bytes, offset: int, digest: bytes) -> None:
    event_ = decoded(world, value)
    claims.put(world, event_.event_id, CLAIM.pack(topic_id(world).bytes, 0, offset, event_.occurred_at, digest))


def expire(world: World, before: int) -> None:
    admin = AdminClient({"bootstrap.servers": world.settings.kafka_bootstrap_servers})
    admin.delete_records([TopicPartition(world.topic, 0, before)])[TopicPartition(world.topic, 0)].result()


def found_by(world: World) -> tuple[int, int]:
    """Duplicates that Redis proved, and those that PostgreSQL found."""
    [found] = world.query("select sum(duplicates_redis)::int, sum(duplicates_postgres)::int from ops.batches")
    return found[0], found[1]


def test_a_claim_that_somebody_made_up_suppresses_no_event(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(3))))
    world.ingest()
    true = encoded(*(event() for _ in range(4)))
    for value in true:
        forge(world, value, 1, plain(value))  # offset 1 is committed
    world.produce(true)
    world.ingest()
    assert world.totals()["stored"] == 7
    assert world.totals()["duplicates"] == 0
    assert out_of_balance(world.reconcile()) == []


def test_no_claim_of_an_offset_before_the_first_that_was_read_is_a_proof(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(5))))
    expire(world, 4)
    world.ingest()
    true = encoded(*(event() for _ in range(3)))
    for value, offset in zip(true, (-1, 0, 3), strict=True):
        forge(world, value, offset, plain(value))
    world.produce(true)
    world.ingest()
    assert world.totals()["stored"] == 4
    assert world.totals()["duplicates"] == 0


def test_a_true_claim_that_is_moved_to_a_committed_offset_suppresses_no_event(world: World) -> None:
    """A worker dies between the claim and the COMMIT, and somebody changes the coordinate in what it claimed."""
    world.produce(encoded(event()))
    world.ingest()
    [value] = encoded(event())
    world.produce([value])
    world.set_failpoint("before_commit.kill")
    assert world.run_elsewhere().wait(60) < 0
    event_id = decoded(world, value).event_id
    place, partition, offset, occurred_at, digest = CLAIM.unpack(claims.find(world, event_id) or b"")
    assert offset == 1
    claims.put(world, event_id, CLAIM.pack(place, partition, 0, occurred_at, digest))
    world.ingest()
    assert world.totals()["stored"] == 2
    assert out_of_balance(world.reconcile()) == []


def test_a_digest_of_another_database_is_no_proof_in_this_one(world: World) -> None:
    [value] = encoded(event())
    world.produce([value])
    world.ingest()
    world.query("update ops.claim_key set key = decode(repeat('5a', 32), 'hex')")
    world.produce([value])
    world.ingest()
    assert found_by(world) == (0, 1)


def test_a_claim_of_the_release_before_is_no_error_and_postgres_finds_the_duplicate(world: World) -> None:
    [value] = encoded(event())
    world.produce([value])
    world.ingest()
    forge(world, value, 0, plain(value))
    world.produce([value])
    world.ingest()
    assert found_by(world) == (0, 1)


def test_what_is_no_claim_at_all_stops_nothing(world: World) -> None:
    values = encoded(*(event() for _ in range(4)))
    for value, junk in zip(values, (b"", b"x", b"\xff" * CLAIM.size, b"y" * 100_000), strict=True):
        claims.put(world, decoded(world, value).event_id, junk)
    world.produce(values)
    world.ingest()
    assert world.totals()["stored"] == 4
    claims.make_no_hashes(world)
    world.produce([*values, *encoded(event())])
    world.ingest(world.another_worker())
    world.worker.redis.call(lambda client: client.flushall())  # the other tests of this world have claims
    totals = world.totals()
    assert (totals["stored"], totals["duplicates"]) == (5, 4)


def test_true_duplicates_are_still_found_without_postgres(world: World) -> None:
    values = encoded(*(event() for _ in range(50)))
    world.produce(values)
    world.ingest()
    world.produce(values)
    world.ingest(world.another_worker())
    assert found_by(world) == (50, 0)


def test_a_retry_with_a_new_time_is_stored_again_where_its_claim_was_deleted_and_the_daily_check_lists_it(
    world: World,
) -> None:
    now = datetime.now(UTC)
    first, second, third = (event("an-id", timestamp=(now - timedelta(hours=n)).isoformat()) for n in (3, 2, 1))
    world.produce(encoded(first))
    world.ingest()
    world.produce(encoded(second))
    world.ingest()
    assert (world.totals()["stored"], world.dead_letters()) == (1, [(1, "event_id_conflict")])
    [value] = encoded(first)
    for retry, totals in ((first, (1, 1)), (third, (2, 1))):  # with its own time PostgreSQL has the key
        event_id = decoded(world, value).event_id
        assert claims.find(world, event_id) is not None
        claims.forget(world, event_id)
        world.produce(encoded(retry))
        world.ingest()
        assert (world.totals()["stored"], world.totals()["duplicates"]) == totals
    reused_ids.find(world.worker.postgres, datetime.now(UTC).date())
    assert world.one("select count(*)::int from ops.reused_ids") == 1
    assert out_of_balance(world.reconcile()) == []
