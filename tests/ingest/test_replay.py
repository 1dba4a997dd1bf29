"""A re-execution of a committed run: adds what is missing, resolves what is valid now, keeps the books true."""

import pytest

from assets.ingest.plan import OffsetRange
from assets.ingest.replay import Replayed, replay, uncommitted
from contract.contract import Contract
from contract.types import Login
from orchestration.factories import make_worker
from tests.support.world import LOG, World, encoded, event, out_of_balance

pytestmark = pytest.mark.services


class NewThing(Login):
    """A type that today's code knows and yesterday's did not."""


def replayed(world: World, ranges: tuple[OffsetRange, ...], *runs: str, contract: Contract | None = None) -> Replayed:
    worker = make_worker(world.settings, contract)
    try:
        return replay(worker, runs or ("run-1",), ranges, world.author("replay"), LOG)
    finally:
        worker.close()


def test_a_replay_of_what_is_all_there_changes_nothing(world: World) -> None:
    one = event()
    world.produce([*encoded(one, one, event()), None, b"garbage"])
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    before = world.totals()
    found = replayed(world, ranges)
    assert found.batches == 1
    assert world.totals() == before
    assert world.query("select attempts, status from raw.dead_letters") == [(2, "open")]
    assert out_of_balance(world.reconcile()) == []


def test_a_replay_moves_no_offset(world: World) -> None:
    world.produce(encoded(event(), event()))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    world.produce(encoded(event()))
    replayed(world, ranges)
    assert world.one("select next_offset from ops.offsets") == 2


def test_a_row_that_went_missing_comes_back_without_being_counted_twice(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(20))))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    world.query("delete from raw.events where kafka_offset in (3, 7)")
    [verdict] = world.reconcile()
    assert verdict.missing == [3, 7]
    replayed(world, ranges)
    assert world.totals()["stored"] == 20
    assert out_of_balance(world.reconcile()) == []


def test_dead_letters_that_todays_code_understands_are_stored_and_resolved(world: World) -> None:
    login = {"userId": "u", "ip": "192.0.2.1", "device": "phone"}
    world.produce([*encoded(event(kind="new_thing", payload=login), event()), b"garbage"])
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    assert world.dead_letters() == [(0, "unknown_type"), (2, "not_json")]
    found = replayed(world, ranges, contract=Contract().with_types(NewThing))
    assert (found.difference.stored, found.difference.dead_letters) == (1, -1)
    assert world.dead_letters() == [(2, "not_json")]
    assert world.totals() == {"records": 3, "stored": 2, "duplicates": 0, "dead_letters": 1, "tombstones": 0}
    assert world.one("select count(*) from raw.events where type = 'new_thing'") == 1


def test_a_replay_of_a_lingering_run_covers_what_it_took_beyond_its_plan(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(10))))
    [ranges] = world.plans(most=4)
    world.ingest(ranges=ranges)
    world.ingest(ranges=tuple(r._replace(start=4, end=10) for r in ranges))
    world.query("update ops.batches set run_id = 'run-1'")
    world.query("delete from raw.events")
    replayed(world, ranges)
    assert world.one("select count(*) from raw.events") == 10


def test_two_replays_of_one_range_book_the_difference_once(world: World) -> None:
    world.produce(encoded(event(kind="new_thing", payload={"userId": "u", "ip": "192.0.2.1"})))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    for _ in range(2):
        replayed(world, ranges, contract=Contract().with_types(NewThing))
    assert world.totals() == {"records": 1, "stored": 1, "duplicates": 0, "dead_letters": 0, "tombstones": 0}


def test_the_part_of_a_failed_run_that_was_never_committed_is_left_to_ingest(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(10))))
    [ranges] = world.plans()
    world.ingest(ranges=tuple(r._replace(end=6) for r in ranges))
    assert [(r.start, r.end) for r in uncommitted(world.worker, ranges)] == [(6, 10)]
