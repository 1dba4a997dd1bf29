"""A partition that answers ListOffsets and not Fetch: on the real Kafka, with a damaged batch in its log."""

from datetime import timedelta
from pathlib import Path

import pytest

from millrace.assets.ingest.pull import PartitionUnreadable
from tests.ingest.test_faults import two_partitions
from tests.support.world import World, encoded, event

pytestmark = pytest.mark.services


def damaged(directory: Path, topic: str, payload: bytes) -> None:
    """Overwrite four bytes of a record in the log segment of partition 0."""
    (segment,) = directory.glob(f"**/{topic}-0/00000000000000000000.log")
    with segment.open("r+b") as log:
        log.seek(log.read().index(payload))
        log.write(b"\0\0\0\0")


def test_a_damaged_batch_stops_neither_what_is_before_it_nor_the_other_partitions(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    two_partitions(world)
    before, bad, after = encoded(*(event() for _ in range(3))), encoded(event()), encoded(event())
    for batch in (before, bad, after):
        world.produce(batch)
    world.produce(encoded(*(event() for _ in range(5))), partition=1)
    damaged(tmp_path_factory.getbasetemp(), world.topic, bad[0])
    worker = world.another_worker(progress_timeout=timedelta(seconds=3))
    with pytest.raises(PartitionUnreadable, match=f"{world.topic}/0 at offset 3: _BAD_MSG"):
        world.ingest(worker)
    assert world.one("select count(*) from raw.events") == 8
