"""A partition that answers where it begins and ends, and does not hand its records out, stops nobody else."""

from pathlib import Path

import pytest

from millrace.assets.ingest import unreadable
from millrace.assets.ingest.pull import PartitionsUnreadable
from millrace.assets.quality import give_up
from tests.ingest.test_faults import two_partitions
from tests.support.world import World, encoded, event, out_of_balance

pytestmark = pytest.mark.services


def damage(world: World, partition: int, record: bytes) -> None:
    """Overwrite four bytes of a record in the log segment, so that its batch fails its checksum."""
    [segment] = world.services.directory.glob(f"**/{world.topic}-{partition}/00000000000000000000.log")
    _overwrite(segment, record)


def _overwrite(segment: Path, record: bytes) -> None:
    at = segment.read_bytes().index(record)
    with segment.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff\xff\xff\xff")


def three_batches(world: World) -> list[bytes]:
    """Three batches of three records in partition 0, the second one damaged, and four records in partition 1."""
    two_partitions(world)
    values = encoded(*(event() for _ in range(9)))
    for first in (0, 3, 6):
        world.produce(values[first : first + 3])
    world.produce(encoded(*(event() for _ in range(4))), partition=1)
    damage(world, 0, values[4])
    return values


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
