"""Redrives beside each other, beside replays and discards, killed in the middle: each dead letter once or not."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from assets.dead_letters import redrive as redrive_module
from assets.dead_letters.discard import discard
from assets.dead_letters.redrive import Redrive
from assets.dead_letters.selection import Selection
from assets.ingest.ledger import Author
from assets.ingest.replay import replay
from contract.contract import Contract
from orchestration.factories import make_worker
from tests.dead_letters.support import ALL, TODAY, dead_letter_rows, environment, new_thing, redriven
from tests.support.world import LOG, World, encoded, event, out_of_balance

pytestmark = pytest.mark.services

_DEAD_LETTERS = 200


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrive_module, "_DEAD_LETTERS", 20)


def ingested(world: World, dead_letters: int = _DEAD_LETTERS) -> Any:
    world.produce(encoded(*(new_thing() for _ in range(dead_letters)), event()))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    return ranges


def everything_once(world: World, dead_letters: int = _DEAD_LETTERS) -> None:
    assert world.one("select count(*) from raw.events") == dead_letters + 1
    assert world.totals()["stored"] == dead_letters + 1
    assert world.totals()["dead_letters"] == 0
    assert world.query("select distinct status, attempts from raw.dead_letters") == [("resolved", 2)]
    assert world.one("select count(*) from ops.dead_letter_attempts") == 2 * dead_letters
    assert world.one("select sum(events)::int from analytics.events_minutely") == dead_letters + 1
    assert world.one("select sum(events)::int from ops.dirty_buckets") == dead_letters + 1
    assert out_of_balance(world.reconcile()) == []


def test_two_redrives_at_once_store_and_book_each_dead_letter_once(world: World) -> None:
    ingested(world)
    with ThreadPoolExecutor(2) as pool:
        done = [f.result() for f in [pool.submit(redriven, world) for _ in range(2)]]
    assert sum(d.total("stored") for d in done) == _DEAD_LETTERS
    assert sum(d.skipped for d in done) == sum(d.chosen for d in done) - _DEAD_LETTERS
    everything_once(world)


def test_a_redrive_beside_a_replay_of_the_same_range_stores_and_books_each_dead_letter_once(world: World) -> None:
    ranges = ingested(world)
    worker = make_worker(world.settings, TODAY)
    with ThreadPoolExecutor(2) as pool:
        redriving = pool.submit(redriven, world)
        replaying = pool.submit(replay, worker, ("run-1",), ranges, Author("replay", 0, "replay"), LOG)
        stored = redriving.result().total("stored") + replaying.result().difference.stored
    worker.close()
    assert stored == _DEAD_LETTERS
    everything_once(world)


def test_a_dead_letter_that_is_discarded_while_it_is_redriven_is_one_or_the_other(world: World) -> None:
    ingested(world, 3)
    worker = make_worker(world.settings, TODAY)
    entered, discarded = threading.Event(), threading.Event()

    def failpoint(point: str) -> None:
        if point == "after_copy":
            entered.set()
            discarded.wait(1)

    worker.failpoint = failpoint
    with ThreadPoolExecutor(2) as pool:
        redriving = pool.submit(Redrive(worker, ALL, LOG))
        assert entered.wait(20)
        counted = pool.submit(discard, world.worker.postgres, ALL, "not wanted").result()
        discarded.set()
        done = redriving.result()
    worker.close()
    assert done.total("stored") + sum(counted.values()) == 3
    statuses = {row[1] for row in dead_letter_rows(world)}
    assert statuses <= {"resolved", "discarded"}
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
def test_a_redrive_that_is_killed_leaves_nothing_half_done_and_can_be_run_again(world: World, point: str) -> None:
    bodies = [event(payload={"userId": "u", "page": "/", "more": "x" * 1_100_000}) for _ in range(3)]
    world.produce(encoded(*bodies, event()))
    world.ingest()
    world.set_failpoint(f"{point}.kill")
    arguments = (sys.executable, "-m", "orchestration.cli", "dead-letters", "redrive", "--all", "--yes")
    own = environment(world, MILLRACE_MAX_VALUE_BYTES="2000000")
    killed = subprocess.run(arguments, env=own, check=False, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    committed = point == "after_commit"
    assert {row[1] for row in dead_letter_rows(world)} == {"resolved" if committed else "open"}
    assert world.one("select count(*) from ops.audit_log") == int(committed)
    assert out_of_balance(world.reconcile()) == []
    redriven(world, contract=Contract(), max_value_bytes=2_000_000)
    everything_once(world, 3)
    assert world.one("select count(*) from ops.audit_log") == 1


def test_a_commit_whose_answer_was_lost_is_neither_repeated_nor_forgotten(world: World) -> None:
    ingested(world, 30)
    worker = make_worker(world.settings, TODAY)
    lost = iter([True])

    def failpoint(point: str) -> None:
        if point == "after_commit" and next(lost, False):
            raise psycopg.OperationalError("the connection died")

    worker.failpoint = failpoint
    assert Redrive(worker, ALL, LOG)().by_code == {"unknown_type": {"stored": 30}}
    worker.close()
    everything_once(world, 30)
    assert world.one("select details -> 'by_code' from ops.audit_log") == {"unknown_type": {"stored": 30}}


def test_refused_dead_letters_are_tried_once_a_redrive_however_many_pages_there_are(world: World) -> None:
    world.produce([b"garbage"] * 50)
    world.ingest()
    assert redriven(world).by_code == {"not_json": {"refused": 50}}
    assert world.query("select distinct attempts from raw.dead_letters") == [(2,)]
    assert redriven(world, Selection(codes=("not_json",))).total("refused") == 50
    assert world.one("select count(*) from ops.dead_letter_attempts") == 150
