"""A log that lost its end, and may have grown again: noticed by the record that was committed last, on a real broker.

The end is lost as it is in life: the broker stops, its volume is put back to an earlier state, and it starts again.
That takes long, so all stories share the two times that the broker is stopped.
"""

import json
import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
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
class Story:
    """One topic: what it holds before the backup, what is lost with the broker's volume, and what comes after that."""

    world: World
    first: list[bytes]
    lost: list[bytes]
    new: list[bytes]

    def go_on(self, values: list[bytes]) -> None:
        """Produce, then runs until nothing is left to do, and a refresh."""
        self.world.produce(values)
        for _ in range(5):
            if plans := self.world.plans():
                self.world.ingest(ranges=plans[0])
        self.world.refresh()

    def stored(self) -> int:
        """The events in raw.events."""
        return int(self.world.one("select count(*) from raw.events"))

    def gaps(self) -> list[tuple[int, int, str]]:
        """The recorded losses."""
        return [(a, b, c) for a, b, c in self.world.query("select start_offset, end_offset, reason from ops.gaps")]


def events(number: int) -> list[bytes]:
    """So many, all different."""
    return encoded(*(event(str(uuid4())) for _ in range(number)))


def chapters() -> dict[str, tuple[list[bytes], list[bytes], list[bytes]]]:
    """What each story is about."""
    return {
        "longer": (events(10), events(8), events(10)),
        "much longer": (events(10), events(8), events(25)),
        "still shorter": (events(10), events(8), events(3)),
        "only grew": (events(10), [], events(10)),
        "refused": (events(3), [BAD + b" of old", *events(1)], [BAD + b" of new", *events(2)]),
        "counted": (events(2), events(4), events(6)),
    }


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Services that may be stopped."""
    with running(tmp_path_factory.mktemp("own"), ("postgres", "redis", "broker", "kafka")) as started:
        yield started


@pytest.fixture(scope="module")
def stories(own: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Story]]:
    """All of them, at their end."""
    with ExitStack() as worlds:
        made = {
            name: Story(worlds.enter_context(fresh_world(own, tmp_path_factory.mktemp("world"))), *values)
            for name, values in chapters().items()
        }
        kept, topics = tmp_path_factory.mktemp("volume"), [story.world.topic for story in made.values()]
        for story in made.values():
            story.go_on(story.first)
        with stopped_kafka(own):
            for place in places(own, topics):
                shutil.copytree(place, kept / place.name)
        for story in made.values():
            story.go_on(story.lost)
        with stopped_kafka(own):
            for place in places(own, topics):
                shutil.rmtree(place)
                shutil.copytree(kept / place.name, place)
        for story in made.values():
            story.go_on(story.new)
        yield made


@contextmanager
def stopped_kafka(services: Running) -> Generator[None]:
    """The broker is down inside."""
    services.stop("kafka")
    yield
    services.start("kafka")


def places(services: Running, topics: list[str]) -> list[Path]:
    """The broker's directories of some topics."""
    return sorted(p for topic in topics for p in services.directory.rglob(f"{topic}-*") if p.is_dir())


@pytest.mark.services
@pytest.mark.parametrize("grown", ["longer", "much longer", "still shorter"])
def test_a_log_that_lost_its_end_and_grew_again_is_read_from_where_it_differs(
    stories: dict[str, Story], grown: str
) -> None:
    story = stories[grown]
    sent = {json.loads(value)["eventId"] for value in (*story.first, *story.lost, *story.new)}
    assert {str(each) for (each,) in story.world.query("select event_id from raw.events")} == sent
    assert story.gaps() == [(10, 18, "went_backwards" if grown == "still shorter" else "overwritten")]
    assert story.world.totals()["stored"] == len(sent)
    assert out_of_balance(story.world.reconcile()) == []
    assert story.world.one("select count(*) from ops.offsets where replaced_at is not null") == 1


@pytest.mark.services
def test_what_is_refused_in_the_new_log_is_a_dead_letter_of_its_own(stories: dict[str, Story]) -> None:
    world = stories["refused"].world
    values = world.query("select kafka_offset, value from raw.dead_letters where status = 'open' order by value")
    assert values == [(3, BAD + b" of new"), (3, BAD + b" of old")]
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.services
def test_a_log_that_only_grew_is_no_other_one(stories: dict[str, Story]) -> None:
    story = stories["only grew"]
    assert story.gaps() == []
    assert story.stored() == 20
    assert story.world.one("select count(*) from ops.offsets") == 1
    assert out_of_balance(story.world.reconcile()) == []


@pytest.mark.services
def test_aggregates_count_what_stands_at_an_old_offset_once(stories: dict[str, Story]) -> None:
    world = stories["counted"].world
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
