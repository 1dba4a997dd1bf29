"""What is refused: each hostile value with its code, and reasons that people understand."""

import time
from collections.abc import Callable

import pytest

from contract.decoder import Rejection, RejectionCode
from tests.contract.cases import CASES, SIMPLE, field, replaced
from tests.contract.making import CONTRACT, DECODER, NOW_US, decode

TOO_LONG = "expected a number of at most 400 digits before and after the point when written out, found the number"
TYPES = ", ".join(CONTRACT)

REASONS: list[tuple[bytes | str, str]] = [
    (replaced("203.0.113.45", "999.1.1.1")[0], '$.payload.ip: expected an IPv4 or IPv6 address, found "999.1.1.1"'),
    (replaced('"u123"', "7")[0], "$.payload.userId: expected a string, found the number 7"),
    (replaced('"Chrome on macOS"', "7")[0], "$.payload.device: expected a string or null, found the number 7"),
    (replaced('"ip"', '"IP"')[0], "$.payload.ip: expected a value, found no such field"),
    (replaced('"login"', '"no_such_type"')[0], f'$.type: expected one of {TYPES}, found "no_such_type"'),
    (
        replaced("u123", "x" * 201)[0],
        f'$.payload.userId: expected at most 200 bytes of UTF-8, found 201 bytes: "{"x" * 59}…"',
    ),
    (
        field('"a b":{"\\u0000c":[0,1e400]}')[0],
        '$.payload["a b"]["\\x00c"]: expected text without U+0000 and lone surrogates, found "\\x00c"',
    ),
    (field('"a":[0,{"b":1e400}]')[0], f"$.payload.a[1].b: {TOO_LONG} 1e400"),
    (field('"a":{"b":1,"b":2}')[0], '$.payload.a: expected every key once, found the key "b" twice'),
    (field('"ip":"::1"')[0], '$.payload: expected every key once, found the key "ip" twice'),
    (b'{"a":\xff}', "$: expected UTF-8, found byte 0xff at offset 5: invalid start byte"),
    (b'{"a":1', "$: expected a JSON document, found an error at character 6: Expecting ','"),
    (b"", "$: expected a JSON document, found nothing"),
    (b"{} NaN", "$: expected a JSON document, found an error at character 3: Extra data"),
    (b"NaN", "$: expected a JSON document, found NaN, which JSON does not have"),
]

# What is reported first, and how to get that fault together with later ones.
FAULTS: list[tuple[str, Callable[[str], str]]] = [
    ("too_large", lambda text: text.ljust(2_000_000) + "\ud800"),
    ("not_utf8", lambda text: text.replace("Chrome", "\ud800") + "[" * 100),
    ("too_deep", lambda text: text + "[" * 100),
    ("not_json", lambda text: text.replace('"type"', '"a":1,"a":2,"type"') + "x"),
    ("invalid_value", lambda text: text.replace("a1b2c3", "").replace('"type"', '"a":1,"a":2,"type"')),
    ("invalid_event_id", lambda text: text.replace("a1b2c3", "").replace("login", "nothing")),
    ("unknown_type", lambda text: text.replace("login", "nothing").replace("2025-05-18", "")),
    ("invalid_timestamp", lambda text: text.replace("2025-05-18", "").replace('"payload"', '"p"')),
    ("missing_field", lambda text: text.replace("2025", "2999").replace('"payload"', '"p"')),
    ("unstorable_text", lambda text: text.replace('"userId"', '"x":[1e400,"\\u0000"],"user"')),
    ("invalid_value", lambda text: text.replace("2025", "2999").replace('"userId"', '"x":1e400,"user"')),
    ("missing_field", lambda text: text.replace("2025", "2999").replace('"userId"', '"user"').replace("203", "")),
    ("invalid_value", lambda text: text.replace("2025", "2999").replace("203", "")),
    ("timestamp_in_future", lambda text: text.replace("2025", "2999")),
]
MEGABYTES = [
    "[",
    "{",
    '{"a":',
    '"',
    "\\",
    '"\\',
    "[]",
    "[0],",
    '"a":',
    '\\"',
    "1",
    "-",
    "1e",
    "[[]],",
    "{}",
    "\n",
    '"",',
    "9.9e9,",
]


def refused(value: bytes | str) -> Rejection:
    found = decode(value)
    assert isinstance(found, Rejection), found
    return found


@pytest.mark.parametrize("code", CASES)
def test_each_hostile_value_has_its_code(code: str):
    for value in CASES[code]:
        found = refused(value)
        assert found.code == code, (str(value)[:300], found)
        assert found.reason.startswith("$")
        assert found.reason.isprintable()
        assert len(found.reason) <= 500


def test_every_code_but_those_of_the_storage_has_a_case():
    by_setting = RejectionCode.TIMESTAMP_TOO_OLD  # test_accepted
    assert CASES.keys() == {*RejectionCode} - {
        RejectionCode.EVENT_ID_CONFLICT,
        RejectionCode.STORAGE_REJECTED,
        by_setting,
    }


@pytest.mark.parametrize(("value", "reason"), REASONS)
def test_reasons_say_where_what_was_expected_and_what_was_found(value: bytes | str, reason: str):
    assert refused(value).reason == reason


def test_a_long_path_leaves_room_for_what_was_expected_and_found():
    key = "a long key " * 100
    nested = f'{{"{key}":' * 50 + "1e400" + "}" * 50
    reason = refused(*field(f'"x":{nested}')).reason
    assert len(reason) <= 500
    assert reason.startswith('$.payload.x["a long key')
    assert reason.endswith(f"{TOO_LONG} 1e400")


@pytest.mark.parametrize(("first", "spoil"), FAULTS)
def test_of_several_faults_the_documented_one_is_reported(first: str, spoil: Callable[[str], str]):
    assert refused(spoil(SIMPLE).encode("utf-8", "surrogatepass")).code == first


@pytest.mark.parametrize("piece", MEGABYTES)
def test_a_megabyte_of_anything_is_decided_quickly(piece: str):
    for value in ((piece * 1_000_000)[: 1024 * 1024], (SIMPLE[:-2] + ',"x":[' + piece * 1_000_000)[: 1024 * 1024]):
        began = time.process_time()
        assert isinstance(DECODER.decode(value.encode(), NOW_US), Rejection)
        assert time.process_time() - began < 2
