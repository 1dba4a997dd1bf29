"""What is accepted: everything that the contract allows, however it is written, kept exactly as it was sent."""

import json
import uuid
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract.decoder import Decoder, Event, Rejection, fast_path
from contract.shortcuts import shortcut
from tests.contract.cases import SIMPLE
from tests.contract.making import CONTRACT, DECODER, NOW_US, decode, events, read, same, write


def accepted(value: bytes | str) -> Event:
    found = decode(value)
    assert isinstance(found, Event), found
    return found


def test_the_message_of_the_specification_is_accepted_as_it_stands():
    assert accepted(SIMPLE) == Event(
        event_id=uuid.uuid5(uuid.UUID("3b0633a5-3b1f-53ea-a428-a05384e456de"), "a1b2c3").bytes,
        source_event_id="a1b2c3",
        type="login",
        occurred_at=int(datetime(2025, 5, 18, 14, tzinfo=UTC).timestamp()) * 1_000_000,
        user_id="u123",
        payload=b'{"userId":"u123","ip":"203.0.113.45","device":"Chrome on macOS"}',
    )


@given(events(), st.integers(0, 2**32), st.sampled_from(["compact", "wild"]))
def test_any_valid_event_is_accepted_and_its_payload_is_what_was_sent(event: dict[str, Any], seed: int, style: str):
    text = write(event, Random(seed), style)
    found = accepted(text)
    assert found.payload in text.encode()
    assert same(read(found.payload), _decimals(event["payload"]))
    assert found.type == event["type"]
    assert found.user_id == event["payload"]["userId"]
    assert found.source_event_id in (None, event["eventId"])


def _decimals(value: Any) -> Any:
    return read(write(value, Random(0)).encode())


@pytest.mark.parametrize("name", [name for name, each in CONTRACT.items() if shortcut(each) is not None])
def test_the_examples_take_the_short_cut(name: str):
    value = json.dumps(CONTRACT[name].example()).encode()
    assert fast_path(CONTRACT, DECODER.limits)(value, NOW_US) == accepted(value)


@pytest.mark.parametrize("device", ['"device":"",', '"device":null,', ""])
@pytest.mark.parametrize("referrer", ['"referrer":"",', '"referrer":null,', ""])
def test_referrer_and_device_may_be_empty_null_or_missing(device: str, referrer: str):
    payload = f'{{{device}{referrer}"userId":"u1","page":"/"}}'
    text = f'{{"eventId":"e","type":"page_view","timestamp":"2025-05-18T14:00:00Z","payload":{payload}}}'
    assert accepted(text).payload == payload.encode()
    assert fast_path(CONTRACT, DECODER.limits)(text.encode(), NOW_US) is not None


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("0190163d-8694-739b-aea5-966c26f8ad91", "0190163d-8694-739b-aea5-966c26f8ad91"),
        ("0190163D-8694-739B-AEA5-966C26F8AD91", "0190163d-8694-739b-aea5-966c26f8ad91"),
        ("0190163d8694739baea5966c26f8ad91", "0190163d-8694-739b-aea5-966c26f8ad91"),
        ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_a_uuid_is_itself_however_it_is_written(given_id: str, expected: str):
    found = accepted(SIMPLE.replace("a1b2c3", given_id))
    assert (uuid.UUID(bytes=found.event_id), found.source_event_id) == (uuid.UUID(expected), None)


@pytest.mark.parametrize(
    "name",
    [
        "1", " ", "x" * 200, "😀" * 200, "line\u2028separator", "{0190163d-8694-739b-aea5-966c26f8ad91}", "\ufeff",
        "\uffff",
        "0190163d-8694-739b-aea5-966c26f8ad9g", "0190163d-8694-739b-aea5-966c26f8ad9 ",
        "0190163d8694-739b-aea5-966c26f8ad91-",
        "0190163d-8694-739b-aea5-966c-6f8ad91", "01 0163d-8694-739b-aea5-966c26f8ad91",
        "\u0660190163d-8694-739b-aea5-966c26f8ad91",
        "0190163d-8694-739b-aea5-966c-6f8-d91", "urn:uuid:0190163d-8694-739b-aea5-966c26f8ad91",
        "0190163d869-4739-baea-5966-c26f8ad91",
    ],
)  # fmt: skip
def test_any_other_text_is_an_id_by_its_name(name: str):
    found = accepted(SIMPLE.replace("a1b2c3", name))
    assert found.event_id == uuid.uuid5(uuid.UUID("3b0633a5-3b1f-53ea-a428-a05384e456de"), name).bytes
    assert found.source_event_id == name


@pytest.mark.parametrize(
    "number",
    [
        "0", "-0", "-0.0", "0e0", "0E+5", "0e-5", "1e308", "1E+308", "5e-324", "1e399", "0.1e400", "1e-400",
        "1E00000000000000000000005",
        "9" * 400, "-" + "9" * 400, "0." + "9" * 400, "9" * 400 + "." + "9" * 400, "0e399", "0." + "0" * 400,
        "1" + "0" * 500 + "e-400",
        "123456789012345678901234567890", "0.1234567890123456789012345678901234567890", "4.9406564584124654e-324",
    ],
)  # fmt: skip
def test_numbers_of_any_precision_are_kept_in_fields_and_in_unknown_fields(number: str):
    payload = f'{{"userId":"u1","formId":"f","fields":{{"n":[{number}]}},"unknown":{number}}}'
    text = f'{{"eventId":"e","type":"form_submit","timestamp":"2025-05-18T14:00:00Z","payload":{payload}}}'
    assert accepted(text).payload == payload.encode()


@pytest.mark.parametrize("duration", ["0", "-0", "-0.0", "0.5", "1e3", "1.7976931348623157e308", "1e-400"])
def test_durations_from_zero_to_the_largest_double_are_accepted(duration: str):
    text = f'"payload":{{"userId":"u1","ip":"::1","duration":{duration}}}'
    accepted(f'{{"eventId":"e","type":"logout","timestamp":"2025-05-18T14:00:00Z",{text}}}')


@pytest.mark.parametrize("ip", ["0.0.0.1", "255.255.255.255", "::", "2001:DB8::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8"])
def test_addresses_of_both_kinds_are_accepted(ip: str):
    accepted(SIMPLE.replace("203.0.113.45", ip))


@pytest.mark.parametrize("depth", [60, 61])
def test_up_to_64_levels_are_accepted(depth: int):
    nested = "[" * depth + "]" * depth
    text = SIMPLE.replace('"userId"', f'"brackets":"{"[" * 100}\\"{{","f":{{"deep":{nested}}},"userId"')
    accepted(text)


@given(st.integers(0, 3), st.sampled_from([b" ", b"\t", b"\n", b"\r", b"\r\n"]))
@example(5000, b"\n")
def test_white_space_around_the_document_is_no_part_of_it(count: int, space: bytes):
    assert accepted(space * count + SIMPLE.encode() + space * count) == accepted(SIMPLE)


def test_a_timestamp_is_in_the_future_only_beyond_the_allowance():
    at = "2025-06-15T15:11:40"  # NOW_US and five minutes
    assert accepted(SIMPLE.replace("2025-05-18T14:00:00", at)).occurred_at == NOW_US + 300_000_000
    assert not isinstance(decode(SIMPLE.replace("2025-05-18T14:00:00", at + ".000001")), Event)


@pytest.mark.parametrize("escaped", [False, True], ids=["fast", "strict"])
def test_a_timestamp_is_too_old_only_before_the_oldest_that_is_set(escaped: bool):
    oldest = datetime(2025, 5, 18, 14, tzinfo=UTC)
    text = SIMPLE.replace('"type"', '"\\u0074ype"') if escaped else SIMPLE
    decoder = Decoder(CONTRACT, min_timestamp=oldest)
    assert isinstance(decoder.decode(text.encode(), NOW_US), Event)
    before = decoder.decode(text.replace("2025-05-18T14:00:00", "2025-05-18T13:59:59.999999").encode(), NOW_US)
    assert isinstance(before, Rejection)
    assert (before.code, "2025-05-18T14:00:00+00:00" in before.reason) == ("timestamp_too_old", True)
    assert isinstance(Decoder(CONTRACT).decode(text.replace("2025", "0001").encode(), NOW_US), Event)


def test_unknown_fields_of_the_envelope_are_ignored_whatever_they_hold():
    strange = '"trace":{"a":"\\ud800","\\u0000":1e99999,"b":[-0.0,{}]},'
    assert accepted(SIMPLE.replace('"type"', strange + '"type"')) == accepted(SIMPLE)


def test_a_value_of_exactly_the_largest_size_is_accepted():
    decoder = Decoder(CONTRACT, max_value_bytes=300)
    value = SIMPLE.encode().ljust(300)
    assert isinstance(decoder.decode(value, NOW_US), Event)
    assert not isinstance(decoder.decode(value + b" ", NOW_US), Event)
