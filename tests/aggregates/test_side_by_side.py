"""Refreshes, rebuilds and ingest at once, killed and cut off in the middle: nobody reads a half, nothing is lost."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from assets.aggregates.catalog import AGGREGATES, FILLED
from orchestration.factories import make_aggregates
from tests.aggregates.compare import Stage
from tests.aggregates.oracle import COLUMNS, event_of
from tests.aggregates.streams import Stream, at, stream

pytestmark = pytest.mark.services

WRITTEN = ["events_hourly", "user_profiles", "sessions", "logins_hourly"]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(6) as made:
        yield made


@contextmanager
def nobody_writes(stage: Stage, table: str) -> Generator[Callable[[], int]]:
    """Hold whoever writes the table, in the middle of its transaction; yields how to wait for its process's id."""
    with psycopg.connect(stage.world.settings.postgres_url) as holder:
        holder.execute(f"lock table analytics.{table} in share mode".encode())
        yield lambda: _held_by(stage, holder.info.backend_pid)


def _held_by(stage: Stage, holder: int) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        waiting = stage.world.query("select pid from pg_stat_activity where %s = any(pg_blocking_pids(pid))", holder)
        if waiting:
            return int(waiting[0][0])
        time.sleep(0.02)
    pytest.fail("nobody came to write")


def refresh(stage: Stage) -> Any:
    """By a worker of its own."""
    aggregates = make_aggregates(stage.world.settings)
    aggregates.workers = 3
    try:
        return aggregates.refresh()
    finally:
        aggregates.close()


def rebuild(stage: Stage) -> dict[str, int]:
    """Everything, by a worker of its own; the drift that it found."""
    aggregates = make_aggregates(stage.world.settings)
    try:
        return stage.rebuild(aggregates=aggregates)
    finally:
        aggregates.close()


def half_and_half(stage: Stage, seed: int) -> Stream:
    """A stream of which one half is taken in and the other waits."""
    made = stream(seed, events=200, days=2)
    stage.send(*made.valid[::2])
    assert stage.settled() == []
    stage.send(*made.valid[1::2])
    return made


@pytest.mark.parametrize("table", WRITTEN)
def test_a_refresh_that_is_cut_off_between_delete_and_insert_leaves_the_old_rows(
    stage: Stage, pool: ThreadPoolExecutor, table: str
) -> None:
    half_and_half(stage, 40)
    group = [name for name in COLUMNS if name in FILLED and AGGREGATES[name].group == AGGREGATES[table].group]
    before = stage.tables(*group)
    with nobody_writes(stage, table) as writer:
        done = pool.submit(refresh, stage)
        assert stage.world.one("select pg_terminate_backend(%s, 5000)", writer())
        assert stage.tables(*group) == before
        assert stage.inconsistent() == []
    with suppress(psycopg.Error):
        done.result(60)
    assert stage.inconsistent() == []
    assert stage.settled() == []


@pytest.mark.parametrize("what", ["refresh", "rebuild"])
def test_a_process_that_is_killed_at_any_moment_leaves_nothing_half_done(stage: Stage, what: str) -> None:
    made = stream(41, events=300, days=2)
    stage.sent.update((e.event_id, e) for e in map(event_of, made.valid))
    chances = random.Random(what)
    for batch in made.batches[:2]:
        process = elsewhere(stage, what)
        stage.store(batch)
        time.sleep(chances.uniform(0, 0.3))
        process.kill()
        process.wait(20)
        assert stage.inconsistent() == []
    for batch in made.batches[2:]:
        stage.store(batch)
    assert stage.settled() == []


def elsewhere(stage: Stage, what: str) -> "subprocess.Popen[bytes]":
    own = {**stage.world.services.environment, "MILLRACE_POSTGRES_URL": stage.world.settings.postgres_url}
    command = [sys.executable, "-m", "tests.aggregates.refresh_elsewhere", what]
    process = subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_connections_that_are_cut_at_random_moments_cost_nothing_but_time(
    stage: Stage, pool: ThreadPoolExecutor
) -> None:
    made = stream(42, events=200, days=2)
    stage.sent.update((e.event_id, e) for e in map(event_of, made.valid))
    chances, cut = random.Random(42), list[Any]()
    for n, batch in enumerate(made.batches * 2):
        stage.store(batch)
        done: Future[Any] = pool.submit(rebuild if n % 3 == 2 else refresh, stage)
        time.sleep(chances.uniform(0, 0.15))
        cut += stage.world.query(
            "select application_name from pg_stat_activity where datname = current_database() and state <> 'idle'"
            " and application_name like 'millrace%%' and application_name <> 'millrace-ingest'"
            " and pg_terminate_backend(pid)"
        )
        with suppress(psycopg.Error):
            done.result(60)
        assert stage.inconsistent() == []
    assert cut
    assert stage.settled() == []


def test_a_mark_made_while_its_bucket_is_being_recomputed_is_not_lost(stage: Stage, pool: ThreadPoolExecutor) -> None:
    stage.send(at("2026-07-15T10:00", "ann"), at("2026-07-15T10:05", "ann", "login"))
    with nobody_writes(stage, "events_hourly") as writer:
        done = pool.submit(refresh, stage)
        writer()
        stage.send(at("2026-07-15T10:01", "ann"), at("2026-07-15T10:06", "ann", "login"), at("2026-07-15T09:31", "bob"))
    assert done.result(60).events >= 2
    assert stage.inconsistent() == []
    assert stage.settled() == []


def test_a_mark_made_while_its_bucket_is_being_rebuilt_is_not_lost(stage: Stage, pool: ThreadPoolExecutor) -> None:
    half_and_half(stage, 43)
    with nobody_writes(stage, "login_audit") as writer:
        done = pool.submit(rebuild, stage)
        writer()
        stage.send(*stream(44, events=100, days=2).valid)
    assert done.result(60) == {}
    assert stage.inconsistent() == []
    assert stage.settled() == []


@pytest.mark.parametrize("works", [(refresh, refresh, refresh), (rebuild, rebuild), (rebuild, refresh, refresh)])
def test_several_at_once_over_the_same_buckets_give_right_rows(
    stage: Stage, pool: ThreadPoolExecutor, works: tuple[Callable[[Stage], Any], ...]
) -> None:
    waiting = len(half_and_half(stage, 45).valid) // 2
    done = [pool.submit(work, stage) for work in works]
    found = [each.result(60) for each in done]
    for group in ("hourly", "users"):
        refreshed = sum(each.by_group[group].events for each in found if not isinstance(each, dict))
        assert refreshed <= waiting if rebuild in works else refreshed == waiting  # a rebuild takes what waits in, too
    assert all(each == {} for each in found if isinstance(each, dict))
    assert stage.wrong() == []
    assert stage.settled() == []


def test_ingest_refresh_and_rebuild_side_by_side_never_show_a_half(stage: Stage, pool: ThreadPoolExecutor) -> None:
    made = stream(46, events=600, days=2)
    stage.sent.update((e.event_id, e) for e in map(event_of, made.valid))
    over = threading.Event()

    def again(work: Callable[[Stage], Any]) -> list[Any]:
        found: list[Any] = []
        while not over.is_set():
            found.append(work(stage))
        return found

    looking = pool.submit(again, lambda s: s.inconsistent())
    working = [pool.submit(again, work) for work in (refresh, refresh, rebuild)]
    try:
        for batch in made.batches:
            for n in range(0, len(batch), 60):
                stage.store(batch[n : n + 60])
    finally:
        over.set()
    looks = looking.result(60)
    assert [wrong for wrong in looks if wrong] == []
    assert len(looks) > 1  # each reads everything: on a busy machine there are few
    drifts = [drift for each in working for drift in each.result(60) if isinstance(drift, dict) and drift]
    assert drifts == []
    assert stage.settled() == []


def test_a_refresh_of_more_than_a_transaction_may_hold_takes_several(stage: Stage) -> None:
    valid = stream(47, events=600, days=2).valid
    for low in range(0, len(valid), 60):
        stage.send(*valid[low : low + 60])
    aggregates = make_aggregates(stage.world.settings)
    aggregates.events_per_transaction = 100
    done = aggregates.refresh()
    aggregates.close()
    assert done.transactions > 3
    assert done.events == len(valid)
    assert stage.settled() == []


def test_a_refresh_ends_although_new_events_keep_coming(stage: Stage, pool: ThreadPoolExecutor) -> None:
    """It owes what was there when it began."""
    over = threading.Event()

    def keep_coming() -> None:
        start = datetime(2026, 7, 15, tzinfo=UTC)
        for n in range(10_000):
            if over.is_set():
                return
            stage.send(at(start + timedelta(seconds=n), f"user {n % 5}"))

    stage.send(*stream(48, events=100, days=2).valid)
    sending = pool.submit(keep_coming)
    try:
        assert pool.submit(refresh, stage).result(30).events >= 100
    finally:
        over.set()
        sending.result(60)
    assert stage.settled() == []
