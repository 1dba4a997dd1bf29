"""The producer and the contract agree: what is meant to be valid is, and what is spoilt is refused for that reason."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.contract import Contract
from contract.decoder import Decoder, Rejection, RejectionCode
from contract.types import Payload
from producer.invalid_messages import CODES
from producer.sessions import others
from producer.templates import Templates
from producer.traffic import Traffic
from tests.producer.support import MS, START_US, config, traffic

# What no sender can provoke by the bytes of one message.
FROM_STORAGE = {RejectionCode.EVENT_ID_CONFLICT, RejectionCode.STORAGE_REJECTED}


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(Contract(), min_timestamp=datetime(2000, 1, 1, tzinfo=UTC))  # as the settings have it


def test_every_well_formed_message_is_an_event(decoder: Decoder):
    shares: dict[str, Any] = {"duplicates": 0.1, "late": 0.2, "out_of_order": 0.1}
    for number, message in enumerate(traffic(8_000, **shares)):
        decoded = decoder.decode(message.value or b"", START_US + number * MS)
        assert not isinstance(decoded, Rejection), (message, decoded)
        assert decoded.type == message.type


def test_every_message_of_the_fast_mode_is_an_event(decoder: Decoder):
    for _, value, type_ in Templates(10_000, 1, START_US, size=5_000).render([START_US] * 5_000):
        decoded = decoder.decode(value, START_US)
        assert not isinstance(decoded, Rejection), (value, decoded)
        assert decoded.type == type_


def test_every_spoilt_message_is_refused_for_the_reason_it_was_spoilt_for(decoder: Decoder):
    seen = Counter[str]()
    for number, message in enumerate(traffic(3_000, invalid=1.0)):
        decoded = decoder.decode(message.value or b"", START_US + number * MS)
        assert isinstance(decoded, Rejection), (message, decoded)
        assert message.kind == f"invalid:{decoded.code}", (message.value or b"")[:500]
        seen[decoded.code] += 1
    assert seen["too_large"] == min(seen.values()) == 6


def test_every_rejection_that_a_sender_can_provoke_is_provoked():
    missing = set(RejectionCode) - FROM_STORAGE - set(CODES)
    assert not missing, f"damage.py spoils no message for {missing}"


def test_every_type_of_the_contract_is_simulated():
    missing = set(Contract()) - {message.type for message in traffic(5_000)}
    assert not missing, f"nobody in sessions.py ever does {missing}"


class NewThing(Payload, gc=False):
    """A type that the producer has never heard of."""

    video_id: str
    seconds: float


def test_a_new_struct_is_all_it_takes_to_see_a_new_type_among_the_traffic():
    larger = Contract().with_types(NewThing)
    stream = Traffic(config(contract=larger), 7)
    messages = [stream.next(START_US + number * MS) for number in range(5_000)]
    played = [message for message in messages if message.type == "new_thing"]
    assert len(played) > 50 / len(others(larger))  # they are sent equally often
    for message in played:
        decoded = Decoder(larger).decode(message.value or b"", START_US + 5_000 * MS)
        assert not isinstance(decoded, Rejection), decoded
        assert decoded.user_id.encode() == message.key
