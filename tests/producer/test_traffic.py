"""The disturbances: as many as asked for, and each what its name says."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from producer.config import Shares
from tests.producer.support import DAY, MS, START_US, body, traffic

MIXED: dict[str, Any] = {"duplicates": 0.1, "late": 0.05, "out_of_order": 0.07, "invalid": 0.03, "tombstones": 0.01}


def stamp_us(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def test_same_seed_and_times_give_the_same_bytes_and_another_seed_does_not():
    assert traffic(3_000, seed=1, **MIXED) == traffic(3_000, seed=1, **MIXED)
    assert not {each.event_id for each in traffic(3_000, seed=1)} & {each.event_id for each in traffic(3_000, seed=2)}


@pytest.mark.parametrize("count", [100, 777, 25_000])
def test_a_given_count_meets_every_share_exactly(count: int):
    kinds = Counter(message.kind.partition(":")[0] for message in traffic(count, **MIXED))
    expected = {
        "duplicate": MIXED["duplicates"],
        "late": MIXED["late"],
        "out_of_order": MIXED["out_of_order"],
        "invalid": MIXED["invalid"],
        "tombstone": MIXED["tombstones"],
    }
    for kind, share in expected.items():
        assert kinds[kind] == round(share * count)
    assert kinds.total() == count


@pytest.mark.parametrize("share", ["duplicates", "late", "out_of_order", "invalid", "tombstones"])
def test_a_share_of_everything_still_works(share: str):
    only: dict[str, Any] = {share: 1.0}
    kinds = Counter(message.kind.partition(":")[0] for message in traffic(1_000, **only))
    assert kinds["valid"] <= 20
    assert kinds.total() == 1_000


def test_a_first_message_that_cannot_be_a_repetition_is_a_valid_event():
    assert traffic(1, duplicates=1.0)[0].kind == "valid"


def test_without_shares_everything_is_valid_in_order_and_unique():
    messages = traffic(5_000)
    assert {message.kind for message in messages} == {"valid"}
    assert len({message.event_id for message in messages}) == 5_000
    stamps = [stamp_us(body(message)["timestamp"]) for message in messages]
    assert stamps == [START_US + number * MS for number in range(5_000)]


def test_messages_are_keyed_by_their_user_and_carry_their_id():
    for message in traffic(2_000, late=0.1, out_of_order=0.1):
        assert body(message)["payload"]["userId"].encode() == message.key
        assert body(message)["eventId"] == message.event_id
        assert body(message)["type"] == message.type


def test_a_duplicate_is_an_event_that_was_sent_before_byte_for_byte():
    seen: dict[str, tuple[bytes, bytes | None]] = {}
    distances: list[int] = []
    when: dict[str, int] = {}
    for number, message in enumerate(traffic(10_000, duplicates=0.2, late=0.1, out_of_order=0.1, invalid=0.1)):
        if message.kind == "duplicate":
            assert seen[message.event_id] == (message.key, message.value)
            distances.append(number - when[message.event_id])
        elif message.kind in ("valid", "late", "out_of_order"):
            assert message.event_id not in seen
            seen[message.event_id], when[message.event_id] = (message.key, message.value), number
    assert sum(distance < 5 for distance in distances) > len(distances) / 3
    assert sum(distance > 1_000 for distance in distances) > len(distances) / 10


def test_some_duplicates_may_go_to_any_partition_and_nothing_else_does():
    messages = traffic(10_000, duplicates=0.2, late=0.1)
    strays = [message for message in messages if message.stray is not None]
    assert {message.kind for message in strays} == {"duplicate"}
    assert 120 < len(strays) < 300


def test_an_out_of_order_event_comes_after_a_later_one():
    latest, delays = 0, list[int]()
    for message in traffic(8_000, out_of_order=0.1):
        stamp = stamp_us(body(message)["timestamp"])
        if message.kind == "out_of_order":
            assert stamp < latest
            delays.append(latest - stamp)
        latest = max(latest, stamp)
    assert max(delays) > 100 * MS


def test_late_events_are_minutes_to_days_behind_and_the_others_are_not():
    for number, message in enumerate(traffic(5_000, late=0.2)):
        behind = START_US + number * MS - stamp_us(body(message)["timestamp"])
        assert 120_000_000 <= behind <= 7 * DAY if message.kind == "late" else behind == 0


def test_tombstones_have_a_key_and_no_value():
    for message in traffic(500, tombstones=0.5):
        assert (message.value is None) == (message.kind == "tombstone")
        assert message.key.startswith(b"u")


@pytest.mark.parametrize("shares", [{"late": 1.1}, {"late": -0.1}, {"late": 0.6, "invalid": 0.6}])
def test_impossible_shares_are_refused(shares: dict[str, float]):
    with pytest.raises(ValueError, match="share"):
        Shares(**shares)
