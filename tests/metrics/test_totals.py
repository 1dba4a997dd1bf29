"""The totals behind the counters: to the event what SQL says at rest, each thing once, and never less than before."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from alembic import command
from sqlalchemy import text

from assets.ingest import store as store_module
from assets.ingest.worker import InjectedFailure
from contract.contract import Contract
from infra.postgres.migrate import config, engine, migrate
from monitoring.metrics.names import NONE
from resources.postgres import Connection
from tests.dead_letters.support import TODAY, new_thing, redriven
from tests.erasure.support import erase, retain
from tests.erasure.support import of as sent_by
from tests.ingest.test_faults import ended, stopped, wait_until
from tests.ingest.test_replay import replayed
from tests.metrics.counting import (
    counters,
    equal_sql,
    expire,
    grown,
    ingested,
    ledger,
    of,
    outcome,
    read,
    some,
    the_plan,
)
from tests.support.world import LOG, World, encoded, event

pytestmark = pytest.mark.services


def test_after_any_traffic_the_counters_are_what_sql_counts(world: World) -> None:
    chance = random.Random(1)
    for _ in range(3):
        world.produce(some(chance, 300))
        ingested(world, chunk_events=150)
    equal_sql(world)
    assert outcome(world, "stored").keys() == outcome(world, "duplicate").keys() == Contract().keys()
    assert len(of(world, "millrace_rejections_total")) >= 4
    assert outcome(world, "tombstone")[NONE] > 0
    assert sum(of(world, "millrace_events_total").values()) == ledger(world, "records")


def test_a_plan_that_is_executed_twice_counts_once_and_the_twin_as_too_late(world: World) -> None:
    world.produce(some(random.Random(2), 50))
    ranges = the_plan(world)
    world.ingest(ranges=ranges)
    before = read(world)
    world.ingest(ranges=ranges)
    assert grown(before, read(world)) == {"batches_total already_committed": 1}
    equal_sql(world)


def test_a_worker_that_is_killed_before_commit_has_counted_nothing(world: World) -> None:
    world.produce(some(random.Random(3), 50))
    world.set_failpoint("before_commit.kill")
    with ended(world.run_elsewhere()) as run:
        assert run.wait(60) == -signal.SIGKILL
    assert read(world) == {}
    world.ingest()
    equal_sql(world)


def test_a_frozen_worker_whose_chunk_somebody_else_committed_counts_nothing_of_it_when_it_wakes(world: World) -> None:
    world.produce(some(random.Random(4), 50))
    ranges = the_plan(world)
    world.set_failpoint("before_commit.stop")
    with ended(world.run_elsewhere(ranges)) as frozen:
        wait_until(lambda: stopped(frozen.pid))
        ingested(world, ranges, progress_timeout=timedelta(seconds=1))
        before = read(world)
        assert of(world, "millrace_retries_total")[("lock_timeout",)] > 0
        frozen.send_signal(signal.SIGCONT)
        frozen.communicate(timeout=60)
    more = grown(before, read(world))
    assert more == {"batches_total already_committed": 1, "retries_total connection": 1}
    equal_sql(world)


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_answer_was_lost_counts_once(
    world: World, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    world.produce(some(random.Random(5), 50))
    real, deaths = store_module.commit, [True]

    def dies(connection: Connection) -> None:
        if not deaths:
            return real(connection)
        if deaths.pop() and committed:
            real(connection)
        connection.close()
        raise psycopg.OperationalError("the connection is gone")

    monkeypatch.setattr(store_module, "commit", dies)
    ingested(world, chunk_events=30)
    equal_sql(world)
    assert of(world, "millrace_retries_total") == {("connection",): 1}
    assert of(world, "millrace_batches_total").get(("already_committed",), 0) == committed


def test_a_run_that_fails_is_counted_when_it_ends_and_if_postgres_is_away_then_later(world: World) -> None:
    world.produce(some(random.Random(6), 20))
    world.set_failpoint("before_commit.fail")
    with pytest.raises(InjectedFailure):
        world.ingest()
    assert {labels: n for labels, n in counters(world).items() if n} == {("millrace_batches_total", ("failed",)): 1}

    away = world.another_worker(postgres_url="postgresql://127.0.0.1:1/nowhere")
    away.pending.count("millrace_retries_total", "kafka")
    away.flush(0, LOG)
    away.database.postgres = world.worker.postgres
    world.ingest(away)
    away.close()
    assert of(world, "millrace_retries_total") == {("kafka",): 1}
    equal_sql(world)


def test_a_replay_that_finds_everything_as_it_was_adds_nothing(world: World) -> None:
    world.produce(some(random.Random(7), 100))
    ranges = the_plan(world)
    world.ingest(ranges=ranges)
    before = read(world)
    assert replayed(world, ranges).batches == 1
    assert grown(before, read(world)) == {}


def test_a_replay_that_understands_more_adds_what_is_new_and_nothing_else(world: World) -> None:
    twice = new_thing()
    world.produce([*encoded(twice, event()), b"garbage", None, *encoded(twice)])
    ranges = the_plan(world)
    world.ingest(ranges=ranges)
    before = read(world)
    replayed(world, ranges, contract=TODAY)
    assert grown(before, read(world)) == {
        "events_total stored new_thing": 1,
        "events_total duplicate new_thing": 1,
        "duplicates_total postgres": 1,
    }
    assert outcome(world, "dead_letter") == {NONE: 3}
    equal_sql(world)


def test_a_redrive_counts_each_dead_letter_by_what_became_of_it_and_none_as_a_new_dead_letter(world: World) -> None:
    twice = new_thing()
    world.produce([*encoded(twice, new_thing(timestamp="tomorrow")), b"garbage", *encoded(twice)])
    world.ingest()
    before = read(world)
    redriven(world, dry_run=True)
    assert grown(before, read(world)) == {}
    redriven(world)
    assert grown(before, read(world)) == {
        "events_total stored new_thing": 1,
        "events_total duplicate new_thing": 1,
        "duplicates_total postgres": 1,
        "redrives_total stored": 1,
        "redrives_total duplicate": 1,
        "redrives_total refused": 2,
    }
    assert of(world, "millrace_rejections_total") == {("unknown_type",): 3, ("not_json",): 1}
    equal_sql(world)


def test_each_lane_has_totals_of_its_own_and_what_no_lane_does_has_others(world: World) -> None:
    world.produce([*encoded(new_thing()), b"garbage"])
    world.ingest(lane=3)
    assert world.query("select distinct lane from ops.totals") == [(3,)]
    redriven(world)
    assert world.query("select lane from ops.totals where metric = 'millrace_redrives_total'") == [(-1,), (-1,)]
    assert world.query("select lane from ops.totals where labels = array['stored', 'new_thing']") == [(-1,)]
    equal_sql(world)


def test_what_an_erasure_takes_away_and_keeps_away_is_counted_by_type(world: World) -> None:
    world.produce([*encoded(sent_by("gone"), sent_by("gone", kind="login"), sent_by("stays")), b'{"userId":"gone"}'])
    world.ingest()
    world.produce(encoded(sent_by("gone")))  # erased on arrival
    before = read(world)
    erase(world, "gone")
    assert grown(before, read(world)) == {
        "events_total erased page_view": 1,
        "events_total erased login": 1,
        "events_total erased none": 1,
    }
    world.ingest()
    assert outcome(world, "erased") == {"page_view": 2, "login": 1, NONE: 1}
    assert sum(outcome(world, "erased").values()) == ledger(world, "erased")
    assert outcome(world, "stored") == {"page_view": 2, "login": 1}


def test_what_retention_drops_and_what_comes_too_late_is_counted_by_type(world: World) -> None:
    first = (datetime.now(UTC) - timedelta(days=20)).date()
    world.query("alter table raw.events detach partition raw.events_old")
    world.query(f"alter table raw.events attach partition raw.events_old for values from (minvalue) to ('{first}')")
    old = [sent_by("u", days_ago=days, kind=kind) for days in (30, 5) for kind in ("login", "page_view")]
    world.produce(encoded(*old, sent_by("u")))
    world.ingest()
    retain(world, 3)
    assert outcome(world, "expired") == {"login": 2, "page_view": 2}
    world.produce(encoded(sent_by("u", days_ago=6), sent_by("u", days_ago=60)))
    world.ingest()
    assert outcome(world, "expired") == {"login": 2, "page_view": 4}
    assert sum(outcome(world, "expired").values()) == ledger(world, "expired")
    assert outcome(world, "stored") == {"login": 2, "page_view": 3}


def test_offsets_that_were_lost_are_counted_with_their_gap(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(30))))
    ranges = the_plan(world)
    expire(world, 12)
    world.ingest(ranges=ranges)
    assert of(world, "millrace_gaps_total") == {("expired",): 1}
    assert of(world, "millrace_gap_offsets_total") == {(): 12}
    equal_sql(world)


def test_a_replay_beside_an_ingest_of_its_lane_neither_deadlocks_nor_loses_a_count(world: World) -> None:
    chance = random.Random(8)
    world.produce(some(chance, 400))
    first = the_plan(world)
    ingested(world, first, chunk_events=20)
    world.produce(some(chance, 400))
    more = the_plan(world)
    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(ingested, world, more, chunk_events=20),
            pool.submit(replayed, world, first, contract=TODAY),
        ]
        for each in done:
            each.result()
    name = world.settings.postgres_url.rsplit("/", 1)[1]
    assert world.one("select deadlocks from pg_stat_database where datname = %s", name) == 0
    assert outcome(world, "stored")["new_thing"] > 0
    equal_sql(world)


def test_a_database_with_a_ledger_begins_its_totals_where_the_ledger_stands(world: World) -> None:
    chance = random.Random(9)
    for lost in (0, 10):
        world.produce(some(chance, 100))
        ranges = the_plan(world)
        expire(world, ranges[0].start + lost)
        world.ingest(ranges=ranges)
    redriven(world)
    duplicates, before = sum(outcome(world, "duplicate").values()), counters(world)
    with engine(world.settings.postgres_url).connect() as connection:
        command.downgrade(config(connection), "0006")
        connection.commit()
        assert connection.execute(text("select to_regclass('ops.totals')")).scalar() is None
    migrate(world.settings.postgres_url)
    after = counters(world)
    # The ledger does not know the types of duplicates.
    assert outcome(world, "duplicate") == {NONE: duplicates}
    for found in (before, after):
        for total in [t for t in found if t.labels[:1] == ("duplicate",) and len(t.labels) == 2]:
            del found[total]
    assert after == before
