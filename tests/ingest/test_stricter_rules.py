"""Whatever a record became once, and whatever today's rules say of it: a replay takes nothing back, and books balance.

The table of docs/replay.md.
"""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assets.dead_letters.discard import discard
from assets.dead_letters.selection import Selection
from assets.ingest import prior_outcome
from assets.ingest.plan import OffsetRange
from assets.ingest.replay import replay
from contract import types
from contract.constraints import Page
from contract.contract import Contract
from contract.identity import Identity, identity
from orchestration.factories import make_worker
from tests.dead_letters.support import TODAY, new_thing, redriven
from tests.erasure.support import erase, of, retain
from tests.support import claims
from tests.support.world import LOG, World, encoded, event, out_of_balance

pytestmark = pytest.mark.services


class PageView(types.PageView, kw_only=True):
    """A page view that needs a field more than it did."""

    shop: Page


RULES: dict[str, tuple[Contract, dict[str, Any]]] = {
    "a field more is required": (Contract([types.Login, PageView]), {}),
    "the types are gone": (Contract([types.Logout]), {}),
    "values are smaller": (Contract(), {"max_value_bytes": 10}),
    "the oldest time is later": (Contract(), {"min_timestamp": datetime.now(UTC) + timedelta(days=1)}),
    "nothing changed": (TODAY, {}),
}
UNREADABLE = ["times are read no more", "ids are read no more"]


def replayed(world: World, ranges: tuple[OffsetRange, ...], rule: str = "values are smaller", *runs: str) -> None:
    contract, changes = RULES[rule]
    worker = make_worker(world.settings.model_copy(update=changes), contract)
    try:
        replay(worker, runs, ranges, world.author("replay"), LOG)
        world.worker.decoder = worker.decoder
    finally:
        worker.close()


def later(made: dict[str, Any], **by: float) -> dict[str, Any]:
    return {**made, "timestamp": (datetime.fromisoformat(made["timestamp"]) + timedelta(**by)).isoformat()}


def everything_that_can_become_of_a_record(world: World) -> tuple[OffsetRange, ...]:
    one, old, again = event(), of("u9", days_ago=40), new_thing()
    reordered = dict(reversed(one.items()))
    world.produce(
        [
            *encoded(one, one, reordered, later(one, seconds=30), old, old, of("user-to-erase"), of("user-to-erase")),
            None,
            *(b"garbage", b"discarded"),
            *encoded(again, again, {**one, "payload": {**one["payload"], "page": "/other"}}, event("text as an id")),
        ]
    )
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    world.refresh()
    redriven(world, Selection(codes=("unknown_type",)), TODAY)
    discard(world.worker.postgres, Selection(ids=(number_of_dead_letter(world, 10),)), "nobody wants it")
    erase(world, "user-to-erase")
    retain(world, 30)
    return ranges


def number_of_dead_letter(world: World, offset: int) -> int:
    return world.one("select dead_letter_id from raw.dead_letters where kafka_offset = %s", offset)


def dead_letters(world: World) -> list[tuple[Any, ...]]:
    return world.query("select kafka_offset, status from raw.dead_letters order by 1")


def sums(world: World) -> dict[str, int]:
    """The ledger's; a duplicate of what expired or was erased since may be booked so, therefore one sum for these."""
    found = world.totals()
    gone = sum(found.pop(name, 0) for name in ("duplicates", "erased", "expired"))
    return {**found, "duplicates, erased, expired": gone}


def rows(world: World) -> list[tuple[Any, ...]]:
    return world.query("select kafka_offset, type, event_id, occurred_at from raw.events order by 1")


def unreadable(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(value: bytes | None) -> Identity | None:
        found = identity(value)
        return None if found is None or rule == "ids are read no more" else Identity(found.event_id, None)

    monkeypatch.setattr(prior_outcome, "identity", read)


@pytest.mark.parametrize("rule", RULES)
def test_no_outcome_is_taken_back_by_another_rule(world: World, rule: str) -> None:
    ranges = everything_that_can_become_of_a_record(world)
    before = sums(world), dead_letters(world), rows(world)
    assert before[0]["stored"] == 3
    assert out_of_balance(world.reconcile()) == []
    for _ in range(2):
        replayed(world, ranges, rule)
        assert (sums(world), dead_letters(world), rows(world)) == before
        assert out_of_balance(world.reconcile()) == []


@pytest.mark.parametrize("rule", RULES)
def test_the_books_balance_under_another_rule_also_when_nothing_was_replayed(world: World, rule: str) -> None:
    everything_that_can_become_of_a_record(world)
    contract, changes = RULES[rule]
    worker = make_worker(world.settings.model_copy(update=changes), contract)
    world.worker.decoder = worker.decoder
    worker.close()
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.parametrize("rule", UNREADABLE)
def test_rows_are_found_by_their_coordinates_where_not_even_their_key_can_be_read(
    world: World, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.produce(encoded(event(), event(), event("text as an id")))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    unreadable(rule, monkeypatch)
    replayed(world, ranges)
    assert (world.totals()["stored"], dead_letters(world)) == (3, [])
    assert out_of_balance(world.reconcile()) == []


def test_a_retry_with_a_new_time_stays_a_duplicate_under_a_stricter_rule(world: World) -> None:
    one = event()
    world.produce(encoded(one, later(one, seconds=30)))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    replayed(world, ranges)
    assert (world.totals()["duplicates"], dead_letters(world)) == (1, [])
    assert out_of_balance(world.reconcile()) == []


def test_a_missing_row_of_an_event_that_is_refused_by_now_becomes_a_dead_letter(world: World) -> None:
    world.produce(encoded(event(), event()))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    world.query("delete from raw.events where kafka_offset = 1")
    replayed(world, ranges)
    assert dead_letters(world) == [(1, "open")]
    assert (world.totals()["stored"], world.totals()["dead_letters"]) == (1, 1)
    assert out_of_balance(world.reconcile()) == []
    replayed(world, ranges, "nothing changed")
    assert dead_letters(world) == [(1, "resolved")]
    assert world.totals()["stored"] == 2
    assert out_of_balance(world.reconcile()) == []


def test_a_missing_row_whose_dead_letter_was_resolved_opens_the_dead_letter_again(world: World) -> None:
    world.produce(encoded(new_thing(), event()))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    redriven(world)
    world.query("delete from raw.events where type = 'new_thing'")
    replayed(world, ranges)
    assert dead_letters(world) == [(0, "open")]
    assert world.one("select outcome from ops.dead_letter_attempts order by entry_id desc limit 1") == "refused"
    assert out_of_balance(world.reconcile()) == []


def stored_and_a_dead_letter_as_well(world: World, *statuses: str) -> tuple[OffsetRange, ...]:
    """What a release did that took stored events back: a row, a dead letter, and a ledger that has only the second."""
    world.produce(encoded(*(event() for _ in statuses)))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    for offset, status in enumerate(statuses):
        world.query(
            "insert into raw.dead_letters (topic, topic_id, partition, kafka_offset, value, header_names,"
            " header_values, code, reason, status, run_id) select %s, kafka_topic_id, kafka_partition, kafka_offset,"
            " 'x', '{}', '{}', 'too_large', '', %s, 'r' from raw.events where kafka_offset = %s",
            *(world.topic, status, offset),
        )
    taken = len(statuses)
    for table in ("batches", "batch_ranges"):
        world.query(f"update ops.{table} set stored = stored - {taken}, dead_letters = dead_letters + {taken}")
    assert out_of_balance(world.reconcile()) != []
    return ranges


@pytest.mark.parametrize("rule", ["values are smaller", "nothing changed"])
def test_a_replay_mends_books_in_which_what_is_stored_has_a_dead_letter_too(world: World, rule: str) -> None:
    ranges = stored_and_a_dead_letter_as_well(world, "open", "discarded")
    replayed(world, ranges, rule)
    assert dead_letters(world) == [(0, "resolved"), (1, "resolved")]
    assert (world.totals()["stored"], world.totals()["dead_letters"]) == (2, 0)
    assert out_of_balance(world.reconcile()) == []


@pytest.mark.parametrize("rule", ["values are smaller", "nothing changed"])
def test_a_redrive_mends_them_as_well(world: World, rule: str) -> None:
    stored_and_a_dead_letter_as_well(world, "open")
    world.query("update raw.dead_letters set value = %s", *world_value(world))
    contract, changes = RULES[rule]
    assert redriven(world, Selection(), contract, **changes).by_code == {"too_large": {"stored": 1}}
    assert dead_letters(world) == [(0, "resolved")]
    assert (world.totals()["stored"], world.totals()["dead_letters"]) == (1, 0)
    assert out_of_balance(world.reconcile()) == []


def world_value(world: World) -> Iterable[bytes]:
    """The value of the only event as it may have been sent."""
    [(event_id, at, payload)] = world.query("select event_id::text, occurred_at, payload from raw.events")
    return encoded({"eventId": event_id, "type": "page_view", "timestamp": at.isoformat(), "payload": payload})


def forget(world: World, *events: dict[str, Any]) -> None:
    """Redis loses the claims of events."""
    claims.forget(world, *(uuid.UUID(each["eventId"]).bytes for each in events))


@pytest.mark.parametrize("apart", [0, 30, 3600])
def test_what_is_stored_stays_so_whoever_holds_its_claim_by_now(world: World, apart: int) -> None:
    one = event()
    first = ingested(world, one)
    forget(world, one)
    second = ingested(world, later(one, seconds=apart))  # the same bytes, or another event for all that is known
    before = world.totals(), dead_letters(world), rows(world)
    for ranges in (first, second):
        replayed(world, ranges, "nothing changed")
        assert (world.totals(), dead_letters(world), rows(world)) == before
        assert out_of_balance(world.reconcile()) == []


def ingested(world: World, *events: dict[str, Any]) -> tuple[OffsetRange, ...]:
    world.produce(encoded(*events))
    [ranges] = world.plans()
    world.ingest(ranges=ranges)
    return ranges


def test_a_replay_claims_no_id_before_it_is_stored(world: World) -> None:
    one = event()
    ranges = ingested(world, one)
    forget(world, one)
    world.query("delete from raw.events")
    event_id = uuid.UUID(one["eventId"]).bytes
    worker, found = world.another_worker(), list[bool]()

    def look(name: str) -> None:
        if name == "before_commit":
            found.append(claims.find(world, event_id) is not None)

    worker.failpoint = look
    replay(worker, (), ranges, world.author("replay"), LOG)
    assert [*found, claims.find(world, event_id) is not None] == [False, True]
    worker.close()


def test_a_time_that_is_a_forgery_by_todays_rule_is_kept_as_a_dead_letter_when_it_is_replayed(world: World) -> None:
    one = event()
    first = ingested(world, one)
    forged = ingested(world, later(one, hours=-1))
    # As a release booked it to which every time under a known id was a duplicate.
    world.query("delete from raw.dead_letters")
    world.query("update ops.batch_ranges set dead_letters = 0, duplicates = 1 where dead_letters = 1")
    world.query("update ops.batches set dead_letters = 0, duplicates_redis = 1 where dead_letters = 1")
    for ranges in (first, forged):
        replayed(world, ranges, "nothing changed")
    assert dead_letters(world) == [(1, "open")]
    assert out_of_balance(world.reconcile()) == []
