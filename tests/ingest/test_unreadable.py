"""A partition that answers where it begins and ends, and does not hand its records out, stops nobody else."""

from datetime import timedelta

import pytest

from assets.ingest import unreadable
from assets.ingest.pull import PartitionsUnreadable
from assets.quality import give_up
from tests.ingest.test_faults import two_partitions
from tests.support.damage import damage
from tests.support.world import World, encoded, event, out_of_balance

pytestmark = pytest.mark.services


def three_batches(world: World, kind: str = "bytes of a record", offset: int = 3) -> None:
    """Three batches of three records in partition 0, one of them damaged, and four records in partition 1."""
    two_partitions(world)
    for _ in range(3):
        world.produce(encoded(*(event() for _ in range(3))))
    world.produce(encoded(*(event() for _ in range(4))), partition=1)
    damage(world, 0, kind, offset)


# What the error says of each kind; an error that Kafka's client does not tell is a silence.
ERRORS = {
    "bytes of a record": "BAD_MSG: .*CRC",
    "a format that nobody knows": "NOT_IMPLEMENTED: .*MagicByte 7",
    "a codec that nobody knows": "NOT_IMPLEMENTED: Decompression .*0x7",
    "a codec that it is not": "BAD_COMPRESSION: Decompression",
    "a record longer than the batch": "no record came",
    "a length beyond the end": "no record came",
}


@pytest.mark.parametrize("kind", ERRORS)
def test_whatever_makes_a_batch_unreadable_what_is_there_is_stored_and_it_is_named(world: World, kind: str) -> None:
    three_batches(world, kind)
    worker = world.another_worker(progress_timeout=timedelta(seconds=10))
    with pytest.raises(PartitionsUnreadable, match=rf"^{world.topic}/0 at offset 3: {ERRORS[kind]}[^;]*$"):
        world.ingest(worker)
    assert world.totals()["stored"] == 3 + 4
    assert world.query("select partition, at_offset from ops.unreadable_partitions") == [(0, 3)]
    worker.close()


def test_a_log_that_is_cut_short_silences_neither_what_is_before_it_nor_other_partitions(world: World) -> None:
    """The broker promises bytes that it does not have: an answer with records of both partitions never ends."""
    three_batches(world, "cut short", 6)
    worker = world.another_worker(progress_timeout=timedelta(seconds=10))
    with pytest.raises(PartitionsUnreadable, match=rf"^{world.topic}/0 at offset 6: no record came for 5 s$"):
        world.ingest(worker)
    worker.close()
    assert world.totals()["stored"] == 6 + 4
    committed = "select partition, next_offset from ops.offsets order by partition"
    assert world.query(committed) == [(0, 6), (1, 4)]
    assert give_up.readable_from(world.worker, give_up.where(world.worker, world.topic, 0)) == 9


def test_a_damaged_batch_keeps_neither_what_is_before_it_nor_other_partitions(world: World) -> None:
    three_batches(world)
    [ranges] = world.plans()
    with pytest.raises(PartitionsUnreadable, match=rf"{world.topic}/0 at offset 3: BAD_MSG: .*CRC"):
        world.ingest(ranges=ranges)
    assert world.totals()["stored"] == 3 + 4
    committed = "select partition, next_offset from ops.offsets order by partition"
    assert world.query(committed) == [(0, 3), (1, 4)]
    with world.worker.postgres.connect("test") as connection:
        [found] = unreadable.current(connection)
    assert str(found.partition).startswith(f"{world.topic}/0 at offset 3: BAD_MSG: ")


def test_the_other_partitions_go_on_in_later_runs(world: World) -> None:
    three_batches(world)
    for more in range(2):
        with pytest.raises(PartitionsUnreadable):
            world.ingest()
        world.produce(encoded(*(event() for _ in range(5))), partition=1)
        assert world.totals()["stored"] == 3 + 4 + 5 * more


def test_a_range_that_is_given_up_is_a_gap_and_what_is_behind_it_is_stored(world: World) -> None:
    three_batches(world)
    with pytest.raises(PartitionsUnreadable):
        world.ingest()
    at = give_up.where(world.worker, world.topic, 0)
    assert give_up.readable_from(world.worker, at) == 6
    give_up.give_up(world.worker, at, 6, "somebody")
    world.ingest()
    assert world.totals()["stored"] == 3 + 3 + 4
    assert world.query("select start_offset, end_offset, reason from ops.gaps") == [(3, 6, "unreadable")]
    assert world.query("select action, subject from ops.audit_log") == [("give_up", f"{world.topic}/0")]
    assert out_of_balance(world.reconcile()) == []
    with world.worker.postgres.connect("test") as connection:
        assert unreadable.current(connection) == []
