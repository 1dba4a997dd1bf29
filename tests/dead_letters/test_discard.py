"""What was discarded stays a dead letter in the books, and nobody but a redrive that names it takes it again."""

import pytest

from assets.dead_letters.discard import discard
from assets.dead_letters.selection import Selection
from assets.ingest.ledger import Author
from assets.ingest.replay import replay
from orchestration.factories import make_worker
from tests.dead_letters.support import ALL, TODAY, command, dead_letter_rows, history, ids, new_thing, redriven
from tests.support.world import LOG, World, encoded, out_of_balance

pytestmark = pytest.mark.services


def test_discarded_dead_letters_are_counted_as_before_and_keep_why(world: World) -> None:
    world.produce([*encoded(new_thing()), b"garbage", b"more"])
    world.ingest()
    assert discard(world.worker.postgres, Selection(codes=("not_json",)), "a test of ours") == {"not_json": 2}
    assert [row[1] for row in dead_letter_rows(world)] == ["open", "discarded", "discarded"]
    assert history(world) == [(1, "refused", "not_json"), (1, "discarded", "not_json")] * 2
    assert world.one("select distinct reason from ops.dead_letter_attempts where outcome = 'discarded'")
    assert world.totals()["dead_letters"] == 3
    assert out_of_balance(world.reconcile()) == []


def test_neither_a_redrive_of_all_nor_a_replay_takes_a_discarded_dead_letter_that_is_valid_now(world: World) -> None:
    world.produce(encoded(new_thing(), new_thing()))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    discard(world.worker.postgres, Selection(ids=(ids(world)[0],)), "not wanted")
    assert redriven(world, dry_run=True).by_code == {"unknown_type": {"stored": 1}}
    worker = make_worker(world.settings, TODAY)
    done = replay(worker, (), ranges, Author("replay", 0, "replay"), LOG)
    worker.close()
    assert (done.difference.stored, done.difference.dead_letters) == (1, -1)
    assert dead_letter_rows(world) == [(0, "discarded", "unknown_type", 1), (1, "resolved", "unknown_type", 2)]
    assert out_of_balance(world.reconcile()) == []


def test_a_discarded_dead_letter_is_redriven_by_its_number(world: World) -> None:
    world.produce([*encoded(new_thing()), b"garbage"])
    world.ingest()
    discard(world.worker.postgres, ALL, "too early")
    named = Selection(ids=tuple(ids(world)), statuses=("open", "discarded"))
    assert redriven(world, named).by_code == {"not_json": {"refused": 1}, "unknown_type": {"stored": 1}}
    assert dead_letter_rows(world) == [(0, "resolved", "unknown_type", 2), (1, "open", "not_json", 2)]
    tried = [row[1] for row in history(world)]
    assert tried == ["refused", "discarded", "stored", "refused", "discarded", "refused"]
    assert out_of_balance(world.reconcile()) == []


def test_a_dead_letter_whose_bytes_were_deleted_since_cannot_be_redriven_and_the_command_says_so(world: World) -> None:
    world.produce(encoded(new_thing()))
    world.ingest()
    discard(world.worker.postgres, ALL, "not wanted")
    world.query("update raw.dead_letters set value = null")
    done = command(world, "redrive", str(ids(world)[0]))
    assert done.exit_code == 0
    assert "was discarded, and what it held was deleted" in done.stderr
    assert dead_letter_rows(world) == [(0, "discarded", "unknown_type", 1)]
