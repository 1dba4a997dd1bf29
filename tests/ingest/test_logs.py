"""A log that lost its end, and may have grown again: noticed by the record that was committed last, on a real broker.

The end is lost as it is in life: the broker stops, its volume is put back to an earlier state, and it starts again.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from assets.ingest.log_replacement import common_prefix
from assets.ingest.model import Anchor
from infra.local.harness import Running, running
from resources.kafka import current_log, following_log, id_of_log, same_topic
from tests.support.world import World, encoded, event, fresh_world, out_of_balance

BAD = b"no event"


@dataclass
class Volume:
    """The broker's directory of one topic, put back as a backup would be."""

    services: Running
    kept: Path

    def _places(self, world: World) -> list[Path]:
        return sorted(p for p in self.services.directory.rglob(f"{world.topic}-*") if p.is_dir())

    def save(self, world: World) -> None:
        """A backup of the topic."""
        self.services.stop("kafka")
        shutil.rmtree(self.kept, ignore_errors=True)
        for topic_partition in self._places(world):
            shutil.copytree(topic_partition, self.kept / topic_partition.name)
        self._start()

    def restore(self, world: World) -> None:
        """What came after the backup is gone."""
        self.services.stop("kafka")
        for topic_partition in self._places(world):
            shutil.rmtree(topic_partition)
            shutil.copytree(self.kept / topic_partition.name, topic_partition)
        self._start()

    def _start(self) -> None:
        self.services.start("kafka")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Services that may be stopped."""
    with running(tmp_path_factory.mktemp("own"), ("postgres", "redis", "broker", "kafka")) as started:
        yield started


@pytest.fixture
def world(own: Running, tmp_path: Path) -> Iterator[World]:
    """A world on them."""
    with fresh_world(own, tmp_path) as made:
        yield made


@pytest.fixture
def volume(own: Running, tmp_path: Path) -> Volume:
    """The broker's volume."""
    return Volume(own, tmp_path / "volume")


def send(world: World, number: int) -> list[str]:
    """Produce events; their ids."""
    ids = [str(uuid4()) for _ in range(number)]
    world.produce(encoded(*(event(each) for each in ids)))
    return ids


def ingest_all(world: World) -> None:
    """Runs until nothing is left to do."""
    for _ in range(5):
        if plans := world.plans():
            world.ingest(ranges=plans[0])


def stored(world: World) -> set[str]:
    """The ids of all stored events."""
    return {str(each) for (each,) in world.query("select event_id from raw.events")}


def gaps(world: World) -> list[tuple[int, int, str]]:
    """The recorded losses."""
    return [(a, b, c) for a, b, c in world.query("select start_offset, end_offset, reason from ops.gaps")]


@pytest.mark.services
@pytest.mark.parametrize("grown", [10, 25, 3], ids=["longer", "much longer", "still shorter"])
def test_a_log_that_lost_its_end_and_grew_again_is_read_from_where_it_differs(
    world: World, volume: Volume, grown: int
) -> None:
    first = send(world, 10)
    ingest_all(world)
    volume.save(world)
    lost = send(world, 8)
    ingest_all(world)
    volume.restore(world)
    new = send(world, grown)
    ingest_all(world)
    assert stored(world) == {*first, *lost, *new}
    assert gaps(world) == [(10, 18, "overwritten" if grown > 8 else "went_backwards")]
    assert world.totals()["stored"] == 18 + grown
    assert out_of_balance(world.reconcile()) == []
    assert world.one("select count(*) from ops.offsets where replaced_at is not null") == 1


@pytest.mark.services
def test_what_is_refused_in_the_new_log_is_a_dead_letter_of_its_own(world: World, volume: Volume) -> None:
    send(world, 3)
    ingest_all(world)
    volume.save(world)
    world.produce([BAD + b" of old", *encoded(event())])
    ingest_all(world)
    volume.restore(world)
    world.produce([BAD + b" of new", *encoded(event(), event())])
    ingest_all(world)
    values = world.query("select kafka_offset, value from raw.dead_letters where status = 'open' order by value")
    assert values == [(3, BAD + b" of new"), (3, BAD + b" of old")]
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.services
def test_a_log_that_only_grew_is_no_other_one(world: World, volume: Volume) -> None:
    send(world, 10)
    ingest_all(world)
    volume.save(world)
    volume.restore(world)
    send(world, 10)
    ingest_all(world)
    assert gaps(world) == []
    assert world.one("select count(*) from ops.offsets") == 1
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.services
def test_aggregates_count_what_stands_at_an_old_offset_once(world: World, volume: Volume) -> None:
    send(world, 2)
    ingest_all(world)
    volume.save(world)
    send(world, 4)
    ingest_all(world)
    world.refresh()
    volume.restore(world)
    send(world, 6)
    ingest_all(world)
    world.refresh()
    assert world.one("select sum(events)::int from analytics.events_hourly") == 12
    assert world.one("select sum(events)::int from analytics.events_minutely") == 12


KNOWN = [Anchor(offset, b"") for offset in (9, 19, 29, 39)]


@pytest.mark.parametrize("same", range(5))
def test_where_two_logs_part_is_found_by_the_records_of_batches(same: int) -> None:
    found = common_prefix(KNOWN, lambda a: a.offset < same * 10, 0, 100, 40)
    assert found.end == (same * 10 if same else 0)
    assert found.differs == (same * 10 + 9 if same < 4 else 40)


def test_a_log_that_begins_behind_all_that_is_remembered_is_read_from_its_beginning() -> None:
    assert common_prefix(KNOWN, lambda _: False, 50, 100, 40).end == 50


def test_ids_of_logs_are_of_one_topic_and_all_different() -> None:
    topic = uuid4()
    ids = [id_of_log(topic, n) for n in range(256)]
    assert len(set(ids)) == 256
    assert all(same_topic(one, topic) for one in ids)
    assert not same_topic(topic, uuid4())
    assert following_log(topic, ids[3]) == ids[4]
    committed: set[tuple[UUID, int]] = {(each, 0) for each in ids[:3]}
    assert current_log(topic, 0, committed) == ids[2]
    assert current_log(topic, 1, committed) == topic
