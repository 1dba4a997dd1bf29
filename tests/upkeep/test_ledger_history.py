"""Closing the books: the sums stay, reconciliation stays clean, and a replay knows what it may not touch."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from assets.ingest import replay as replays
from assets.ingest.plan import OffsetRange
from assets.ingest.replay import Replayed, replay
from assets.upkeep.folding import FoldGroup, LedgerBatch, groups
from assets.upkeep.ledger_history import Folded, LedgerHistory, fold_ledger
from infra.local.harness import Running
from tests.support.world import LOG, World, encoded, event, fresh_world, out_of_balance

real = pytest.mark.services
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Killed(Exception):
    """Stands for a process that ends there."""


def batch(number: int, minutes: float = 0, *, closed: bool = False, backwards: bool = False) -> LedgerBatch:
    return LedgerBatch(number, NOON + timedelta(minutes=minutes), closed, backwards)


def test_consecutive_batches_of_an_hour_become_one() -> None:
    found = groups([batch(1, 1), batch(2, 59), batch(3, 60), batch(5, 61)], hourly=True)
    assert found == [FoldGroup(1, 2, 2), FoldGroup(3, 5, 2)]


def test_without_hours_everything_becomes_one() -> None:
    assert groups([batch(1), batch(2, 600), batch(9, 6_000)], hourly=False) == [FoldGroup(1, 9, 3)]


def test_what_is_folded_already_stays_as_it_is_until_more_of_its_hour_comes() -> None:
    assert groups([batch(1, closed=True), batch(2, 60, closed=True)], hourly=True) == []
    assert groups([batch(1, closed=True), batch(2, 5)], hourly=True) == [FoldGroup(1, 2, 2)]


def test_a_clock_that_was_set_back_tears_nothing_apart() -> None:
    assert groups([batch(1, 0), batch(2, 61), batch(3, 59), batch(4, 62)], hourly=True) == [
        FoldGroup(1, 1, 1),
        FoldGroup(2, 4, 3),
    ]


def test_a_batch_that_went_backwards_stays_by_itself() -> None:
    found = groups([batch(1), batch(2), batch(3, backwards=True), batch(4), batch(5)], hourly=False)
    assert found == [FoldGroup(1, 2, 2), FoldGroup(3, 3, 1), FoldGroup(4, 5, 2)]


def fill(world: World, batches: int = 6, days_ago: float = 10, hours_apart: float = 0.25, partitions: int = 1) -> None:
    """Some batches of everything that there is, in the past, with nothing pending."""
    for number in range(batches):
        one = event()
        world.produce(
            [*encoded(one, one, event(), event(kind="nonsense")), None, b"garbage"], partition=number % partitions
        )
        world.ingest()
    age(world, days_ago, hours_apart)
    world.query("delete from ops.dirty_buckets")


def age(world: World, days_ago: float, hours_apart: float = 0.25) -> None:
    world.query(
        "update ops.batches set committed_at = date_trunc('hour', now(), 'UTC') - make_interval(mins => %s)"
        " + make_interval(mins => (batch_id * %s)::int)",
        int(days_ago * 1440),
        hours_apart * 60,
    )


def close(world: World, *, page: int = 5_000, **more: object) -> Folded:
    return fold_ledger(world.worker.postgres, LedgerHistory(page=page), "upkeep", **more)  # type: ignore[arg-type]


def kinds(world: World) -> dict[str, int]:
    return dict(world.query("select kind, count(*)::int from ops.batches group by kind"))  # type: ignore[arg-type]


def whole_ledger(world: World) -> list[tuple[object, ...]]:
    """Every sum of the ledger, by partition and in all."""
    return [
        *world.query(
            "select topic_id, partition, min(start_offset), max(end_offset), sum(records), sum(stored),"
            " sum(duplicates), sum(dead_letters), sum(tombstones), sum(erased), sum(expired)"
            " from ops.batch_ranges group by topic_id, partition order by 1, 2"
        ),
        *world.query(
            "select sum(records), sum(stored), sum(duplicates_redis), sum(duplicates_postgres), sum(dead_letters),"
            " sum(tombstones), sum(erased), sum(expired), sum(retries), sum(transactions), max(latency_max_seconds),"
            " round(sum(store_seconds)::numeric, 6), max(committed_at) from ops.batches"
        ),
    ]


@real
def test_a_closed_ledger_has_the_same_sums_and_reconciles_and_ingest_goes_on(services: Running, tmp_path: Path) -> None:
    with fresh_world(services, tmp_path, partitions=2) as world:
        fill(world, partitions=2)
        compare_before_and_after(world)


def compare_before_and_after(world: World) -> None:
    before, totals = whole_ledger(world), world.totals()
    closed = close(world)
    assert closed.batches == 6
    assert kinds(world) == {"closed": 2}  # four batches an hour
    assert whole_ledger(world) == before
    assert world.totals() == totals
    assert out_of_balance(world.reconcile()) == []
    assert close(world).batches == 0
    world.produce(encoded(event(), event()))
    world.ingest()
    assert kinds(world) == {"closed": 2, "ingest": 1}
    assert out_of_balance(world.reconcile()) == []


@real
def test_small_pages_come_to_the_same(world: World) -> None:
    fill(world)
    before = whole_ledger(world)
    close(world, page=2)
    assert kinds(world) == {"closed": 2}
    assert whole_ledger(world) == before
    assert out_of_balance(world.reconcile()) == []


@real
def test_after_three_months_the_hours_become_one_sum(world: World) -> None:
    fill(world, days_ago=98, hours_apart=6)
    before = whole_ledger(world)
    close(world)
    assert world.one("select transactions from ops.batches order by batch_id limit 1") > 1
    age_out = datetime.now(UTC) + timedelta(days=365)
    fold_ledger(world.worker.postgres, LedgerHistory(), "upkeep", age_out)
    assert kinds(world) == {"closed": 1}
    assert whole_ledger(world) == before
    assert out_of_balance(world.reconcile()) == []


@real
def test_young_batches_and_those_that_a_pending_mark_needs_are_not_folded(world: World) -> None:
    fill(world, days_ago=10)
    world.query("insert into ops.dirty_buckets (hour, low, high, events, batch_id) values (now(), now(), now(), 1, 3)")
    close(world)
    assert world.one("select max(batch_id) from ops.batches where kind = 'closed'") <= 2
    assert world.one("select count(*) from ops.batches where kind = 'ingest'") == 4
    assert out_of_balance(world.reconcile()) == []
    world.query("delete from ops.dirty_buckets")
    age(world, 6.9)
    assert close(world).batches == 0


@real
def test_a_fold_that_is_killed_in_the_middle_changed_nothing(world: World) -> None:
    fill(world)
    before, batches = whole_ledger(world), kinds(world)

    def killed(_point: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        close(world, failpoint=killed)
    assert kinds(world) == batches
    assert close(world).batches == 6
    assert whole_ledger(world) == before


@real
def test_two_folds_at_once_count_nothing_twice_while_ingest_goes_on(world: World) -> None:
    fill(world)
    before = world.totals()
    threads = [threading.Thread(target=close, args=(world,), kwargs={"page": 2}) for _ in range(2)]
    for thread in threads:
        thread.start()
    world.produce(encoded(event()))
    world.ingest()
    for thread in threads:
        thread.join()
    assert world.totals() == {**before, "records": before["records"] + 1, "stored": before["stored"] + 1}
    assert kinds(world) == {"closed": 2, "ingest": 1}
    assert out_of_balance(world.reconcile()) == []


@real
def test_a_batch_that_commits_while_younger_ones_are_folded_is_in_the_sums_all_the_same(world: World) -> None:
    fill(world, batches=1)
    columns = (
        "run_id, lane, kind, path, dedup_degraded, records, stored, duplicates_redis, duplicates_postgres,"
        " dead_letters, tombstones, retries, pull_seconds, decode_seconds, claim_seconds, frame_seconds, store_seconds,"
        " committed_at"
    )
    with psycopg.connect(world.settings.postgres_url) as slow:
        # As of another lane: nothing of partition 0 waits for it.
        slow.execute(f"insert into ops.batches ({columns}) select {columns} from ops.batches".encode())
        fill(world, batches=2)
        in_hand = world.totals()["records"]
        close(world)
        assert world.totals()["records"] == in_hand
        slow.commit()
    assert world.totals()["records"] == in_hand + 6
    close(world)
    world.query("update ops.batches set committed_at = committed_at - interval '100 days'")
    close(world)
    assert kinds(world) == {"closed": 1}
    assert world.totals()["records"] == in_hand + 6


def replayed(world: World, *ranges: OffsetRange) -> Replayed:
    return replay(world.worker, ["run-1"], ranges, world.author("replay"), LOG)


@real
def test_a_replay_of_closed_books_changes_nothing_and_says_so(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(10))))
    [plan] = world.plans()
    world.ingest(ranges=plan)
    world.query("delete from ops.dirty_buckets")
    age(world, 10)
    close(world)
    before = world.totals()
    found = replayed(world, *plan)
    assert (found.batches, found.closed) == (0, list(plan))
    assert world.totals() == before
    assert out_of_balance(world.reconcile()) == []


@real
def test_books_that_are_closed_while_a_replay_is_under_way_are_not_booked_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.produce(encoded(*(event() for _ in range(10))))
    [plan] = world.plans()
    world.ingest(ranges=plan)
    world.query("delete from ops.dirty_buckets")
    age(world, 10)
    decode = replays.decode

    def close_meanwhile(*arguments: object) -> object:
        close(world)
        return decode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(replays, "decode", close_meanwhile)
    found = replayed(world, *plan)
    assert (found.batches, found.closed) == (0, list(plan))
    assert world.totals()["records"] == 10
    assert out_of_balance(world.reconcile()) == []


@real
def test_differences_that_a_replay_booked_are_folded_with_the_rest(world: World) -> None:
    world.produce(encoded(*(event() for _ in range(10))))
    [plan] = world.plans()
    world.ingest(ranges=plan)
    world.query("delete from raw.events where kafka_offset in (3, 7)")
    world.query("update ops.batches set stored = 8, records = 8")
    world.query("update ops.batch_ranges set stored = 8, records = 8")
    replayed(world, *plan)
    world.query("delete from ops.dirty_buckets")
    world.query("update ops.batches set committed_at = now() - interval '10 days' + batch_id * interval '5 hours'")
    close(world)
    assert kinds(world) == {"closed": 2}
    assert world.query("select start_offset, end_offset from ops.batch_ranges order by batch_id") == [(0, 10), (0, 0)]
    assert out_of_balance(world.reconcile()) == []
    fold_ledger(world.worker.postgres, LedgerHistory(), "upkeep", datetime.now(UTC) + timedelta(days=365))
    assert world.query("select start_offset, end_offset, stored from ops.batch_ranges") == [(0, 10, 10)]
    assert out_of_balance(world.reconcile()) == []


@real
def test_settled_dead_letters_are_forgotten_and_open_ones_stay(world: World) -> None:
    world.produce([b"open", b"resolved", b"discarded", b"young"])
    world.ingest()
    world.query("update raw.dead_letters set last_attempt_at = now() - interval '100 days' where kafka_offset < 3")
    world.query("update raw.dead_letters set status = 'discarded' where kafka_offset >= 2")
    world.query("update raw.dead_letters set status = 'resolved' where kafka_offset = 1")
    assert close(world).dead_letters_deleted == 0, "its batch may still be replayed: the replay asks for it"
    world.query("update ops.batches set dead_letters = 3, records = 3")
    world.query("update ops.batch_ranges set dead_letters = 3, records = 3")
    age(world, 100)
    closed = close(world)
    assert (closed.dead_letters_deleted, closed.dead_letters_emptied) == (1, 1)
    assert world.query("select kafka_offset, status, value, code from raw.dead_letters order by kafka_offset") == [
        (0, "open", b"open", "not_json"),
        (2, "discarded", None, "not_json"),
        (3, "discarded", b"young", "not_json"),
    ]
    [verdict] = world.reconcile()
    assert [p for p in verdict.problems if p.startswith("dead_letters")] == []
    world.produce([b"of a young batch"])
    world.ingest()
    world.query("update raw.dead_letters set status = 'resolved' where kafka_offset = 4")
    world.query("update raw.dead_letters set last_attempt_at = now() - interval '100 days' where kafka_offset = 4")
    again = close(world)
    assert (again.dead_letters_deleted, again.dead_letters_emptied) == (0, 0)


@real
def test_old_audit_entries_are_forgotten(world: World) -> None:
    world.query(
        "insert into ops.audit_log (at, actor, action, subject) select now() - make_interval(days => n * 100), 'me',"
        " 'discard', n::text from generate_series(0, 9) as n"
    )
    assert close(world, page=2).audit == 6
    assert world.query("select subject from ops.audit_log order by 1") == [("0",), ("1",), ("2",), ("3",)]
