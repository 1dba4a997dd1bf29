"""A redrive stores what today's code understands, each dead letter once, keeps the books true, and needs no Kafka."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from assets.dead_letters import redrive as redrive_module
from assets.dead_letters.selection import Selection
from assets.ingest.erasures import hash_of
from assets.ingest.ledger import Author
from assets.ingest.plan import OffsetRange
from assets.ingest.replay import replay
from assets.upkeep.ledger_history import LedgerHistory, fold_ledger
from contract.contract import Contract
from contract.decoder import Decoder
from orchestration.factories import make_worker
from tests.dead_letters.support import TODAY, answer, dead_letter_rows, history, ids, new_thing, redriven
from tests.support import claims
from tests.support.world import LOG, World, encoded, event, out_of_balance

pytestmark = pytest.mark.services


def replayed(world: World, ranges: tuple[OffsetRange, ...], contract: Contract, *runs: str) -> None:
    worker = make_worker(world.settings, contract)
    try:
        replay(worker, runs, ranges, Author("replay-1", 0, "replay"), LOG)
    finally:
        worker.close()


def refused(world: World, *events: dict[str, Any]) -> tuple[OffsetRange, ...]:
    """Ingest records, by yesterday's code."""
    world.produce(encoded(*events))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    return ranges


def totals(records: int, *rest: int) -> dict[str, int]:
    names = ("stored", "duplicates", "dead_letters", "tombstones")
    return {"records": records, **dict(zip(names, rest, strict=True))}


def balanced_today(world: World) -> bool:
    world.worker.decoder = Decoder(TODAY)
    return out_of_balance(world.reconcile()) == []


def test_a_dead_letter_that_todays_code_understands_is_stored_at_its_own_coordinates(world: World) -> None:
    world.produce([*encoded(new_thing(), event()), b"garbage"])
    world.ingest()
    done = redriven(world, Selection(codes=("unknown_type",)))
    assert done.by_code == {"unknown_type": {"stored": 1}}
    stored = "select kafka_partition, kafka_offset from raw.events where type = 'new_thing'"
    assert world.query(stored) == [(0, 0)]
    assert dead_letter_rows(world) == [(0, "resolved", "unknown_type", 2), (2, "open", "not_json", 1)]
    assert world.totals() == totals(3, 2, 0, 1, 0)
    assert out_of_balance(world.reconcile()) == []


def test_what_a_redrive_stores_is_counted_by_minute_and_marked_event_by_event(world: World) -> None:
    one = new_thing(str(uuid.uuid4()), timestamp="2026-05-18T14:00:30Z")
    refused(world, one, event())
    redriven(world)
    minutes = "select events from analytics.events_minutely where type = 'new_thing'"
    assert world.query(minutes) == [(1,)]
    marks = world.query("select hour, events, batch_id, event_ids from ops.dirty_buckets order by mark_id desc limit 1")
    assert marks == [(datetime(2026, 5, 18, 14, tzinfo=UTC), 1, None, [uuid.UUID(one["eventId"])])]
    world.refresh()
    assert world.one("select sum(events)::int from analytics.events_hourly") == 2


def test_a_dead_letter_that_was_too_large_fits_when_the_setting_is_raised(world: World) -> None:
    big = event(payload={"userId": "u", "page": "/", "more": "x" * 3_000_000})
    world.produce(encoded(big))
    world.ingest()
    done = answer(world, "redrive", "--all", MILLRACE_MAX_VALUE_BYTES="4000000")
    assert (done["chosen"], done["stored"], done["refused"]) == (1, 1, 0)
    assert world.one("select payload = %s::text::jsonb from raw.events", encoded(big["payload"])[0].decode())
    assert out_of_balance(world.reconcile()) == []


def test_a_dead_letter_that_is_refused_again_stays_open_and_keeps_its_history(world: World) -> None:
    refused(world, new_thing(payload={"userId": "u1"}))
    assert redriven(world).by_code == {"unknown_type": {"refused": 1}}
    assert redriven(world, contract=Contract()).by_code == {"missing_field": {"refused": 1}}
    assert dead_letter_rows(world) == [(0, "open", "unknown_type", 3)]
    tries = [(1, "refused", "unknown_type"), (2, "refused", "missing_field"), (3, "refused", "unknown_type")]
    assert history(world) == tries
    assert world.totals() == totals(1, 0, 0, 1, 0)
    assert out_of_balance(world.reconcile()) == []


def test_dead_letters_of_the_same_event_are_stored_once_and_the_others_are_duplicates(world: World) -> None:
    one = new_thing()
    refused(world, one, one, {**one, "timestamp": one["timestamp"][:-6] + "Z"})
    assert redriven(world).by_code == {"unknown_type": {"stored": 1, "duplicate": 2}}
    assert [row[1] for row in dead_letter_rows(world)] == ["resolved"] * 3
    assert sorted(row[1] for row in history(world) if row[0] == 2) == ["duplicate", "duplicate", "stored"]
    assert world.totals() == totals(3, 1, 2, 0, 0)
    assert balanced_today(world)


def test_an_id_that_is_stored_with_another_payload_is_a_conflict_also_for_a_redrive(world: World) -> None:
    one = event()
    other = {**one, "payload": {**one["payload"], "page": "/other"}}
    refused(world, one, other)
    assert redriven(world).by_code == {"event_id_conflict": {"refused": 1}}
    assert dead_letter_rows(world) == [(1, "open", "event_id_conflict", 2)]
    assert out_of_balance(world.reconcile()) == []


def test_dead_letters_of_many_batches_are_booked_where_a_replay_looks_for_them(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(redrive_module, "_DEAD_LETTERS", 7)
    world.produce(encoded(*(new_thing() if n % 3 else event() for n in range(40))))
    [ranges] = world.plans()
    world.ingest(world.another_worker(chunk_events=5), ranges)
    assert redriven(world).by_code == {"unknown_type": {"stored": 26}}
    assert world.totals() == totals(40, 40, 0, 0, 0)
    replayed(world, ranges, TODAY)
    assert world.totals() == totals(40, 40, 0, 0, 0)
    assert {tuple(row) for row in world.query("select status, attempts from raw.dead_letters")} == {("resolved", 2)}
    assert out_of_balance(world.reconcile()) == []


def test_a_replay_by_yesterdays_code_leaves_what_was_redriven_stored(world: World) -> None:
    one = new_thing()
    ranges = refused(world, one, one)
    redriven(world)
    replayed(world, ranges, Contract())
    assert [row[1] for row in dead_letter_rows(world)] == ["resolved"] * 2
    assert world.totals() == totals(2, 1, 1, 0, 0)
    assert balanced_today(world)


def test_a_replay_writes_the_history_of_dead_letters_too(world: World) -> None:
    ranges = refused(world, new_thing(), new_thing(payload={"userId": "u1"}))
    replayed(world, ranges, TODAY)
    tries = [(1, "refused", "unknown_type"), (2, "stored", None)]
    again = [(1, "refused", "unknown_type"), (2, "refused", "missing_field")]
    assert history(world) == tries + again


def test_dead_letters_of_a_topic_that_was_made_anew_are_redriven(world: World) -> None:
    refused(world, new_thing(), event())
    admin = AdminClient({"bootstrap.servers": world.settings.kafka_bootstrap_servers})
    admin.delete_topics([world.topic])[world.topic].result()
    assert redriven(world, Selection(codes=("unknown_type",)), TODAY, dry_run=True).total("stored") == 1
    while not world.worker.kafka.create_topic(world.topic, 1):
        time.sleep(0.1)
    refused(world, event())
    assert redriven(world).by_code == {"unknown_type": {"stored": 1}}
    assert world.totals() == totals(3, 3, 0, 0, 0)
    assert out_of_balance(world.reconcile()) == []


def test_a_dry_run_says_what_would_become_of_dead_letters_and_changes_nothing(world: World) -> None:
    ahead = new_thing(timestamp=(datetime.now(UTC) + timedelta(days=30)).isoformat())
    one = event()
    other = {**one, "payload": {**one["payload"], "page": "/other"}}
    refused(world, ahead, ahead, one, other, new_thing(payload={"userId": "u1"}))
    before = everything(world)
    done = redriven(world, dry_run=True, max_future=timedelta(days=60))
    conflict = {"event_id_conflict": {"refused": 1}}
    would = {"unknown_type": {"stored": 1, "duplicate": 1, "refused": 1}, **conflict}
    assert done.by_code == would
    assert everything(world) == before
    assert claims.find(world, uuid.UUID(ahead["eventId"]).bytes) is None
    assert redriven(world, max_future=timedelta(days=60)).by_code == would


def everything(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, partitions by name."""
    tables = world.query(
        "select oid::regclass::text from pg_class where relkind = 'r'"
        " and relnamespace in ('raw'::regnamespace, 'ops'::regnamespace, 'analytics'::regnamespace)"
    )
    return {name: sorted(world.query(f"select t::text from {name} as t")) for (name,) in tables}


def test_an_id_that_was_redriven_is_remembered_by_redis_as_any_other(world: World) -> None:
    one = new_thing(timestamp="2026-05-18T14:00:00Z")
    refused(world, one)
    redriven(world)
    world.produce(encoded({**one, "timestamp": "2026-05-18T14:00:30Z"}))
    worker = make_worker(world.settings, TODAY)
    world.ingest(worker)
    worker.close()
    assert world.totals() == totals(2, 1, 1, 0, 0)


def test_events_from_before_the_frontier_of_retention_expire_and_their_dead_letters_are_resolved(world: World) -> None:
    refused(world, new_thing(timestamp="2020-01-01T00:00:00Z"), new_thing())
    world.query("insert into ops.retention_frontier (frontier) values ('2021-01-01T00:00:00Z')")
    assert redriven(world).by_code == {"unknown_type": {"expired": 1, "stored": 1}}
    assert [row[1] for row in dead_letter_rows(world)] == ["resolved"] * 2
    assert world.query("select sum(expired)::int, sum(dead_letters)::int from ops.batches") == [(1, 0)]


def test_dead_letters_that_name_an_erased_user_are_not_brought_back_but_erased_too(world: World) -> None:
    [found] = refused(world, new_thing(), new_thing(payload={"userId": "u2", "ip": "192.0.2.1", "device": "tv"}))
    topic_id, partition = found.topic_partition
    world.query("insert into ops.erasure_key (key) values ('key')")
    world.query(
        "insert into ops.erasures (user_hash, topic_id, partition, up_to_offset) values (%s, %s, %s, 2)",
        *(hash_of(b"key", "u1"), topic_id, partition),
    )
    assert redriven(world).by_code == {"unknown_type": {"erased": 1, "stored": 1}}
    assert dead_letter_rows(world) == [(1, "resolved", "unknown_type", 2)]
    assert world.query("select sum(erased)::int, sum(dead_letters)::int from ops.batches") == [(1, 0)]


def test_dead_letters_whose_books_are_closed_are_redriven_all_the_same(world: World) -> None:
    world.produce(encoded(*(new_thing() for _ in range(10)), event()))
    world.ingest(world.another_worker(chunk_events=3))
    world.refresh()
    fold_ledger(world.worker.postgres, LedgerHistory(), "closing", datetime.now(UTC) + timedelta(days=8))
    assert world.query("select kind from ops.batches") == [("closed",)]
    assert redriven(world).total("stored") == 10
    assert world.totals() == totals(11, 11, 0, 0, 0)
    assert out_of_balance(world.reconcile()) == []
    world.refresh()
    assert world.one("select sum(events)::int from analytics.events_hourly") == 11


def test_a_choice_takes_the_dead_letters_that_fit_all_of_it_and_no_other(world: World) -> None:
    world.produce([*encoded(new_thing(), new_thing()), b"garbage"])
    world.ingest()
    _, second, garbage = ids(world)
    old, bound = "2026-01-01T00:00:00Z", datetime(2026, 1, 2, tzinfo=UTC)
    world.query("update raw.dead_letters set first_seen_at = %s where dead_letter_id = %s", old, garbage)
    expected: dict[Selection, dict[str, dict[str, int]]] = {
        Selection(ids=(second,)): {"unknown_type": {"stored": 1}},
        Selection(topic="elsewhere"): {},
        Selection(codes=("not_json", "wrong_type")): {"not_json": {"refused": 1}},
        Selection(until=bound): {"not_json": {"refused": 1}},
        Selection(since=bound, topic=world.topic): {"unknown_type": {"stored": 2}},
        Selection(codes=("unknown_type",), until=bound): {},
    }
    assert {choice: redriven(world, choice, dry_run=True).by_code for choice in expected} == expected
