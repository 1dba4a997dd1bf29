"""The reference: what is an event, decided exactly and explained. Slow and plain; `decoder` must agree with it.

When several things are wrong, the first of these is reported:

1. the value as a whole: too_large, not_utf8, too_deep, not_json, not_an_object, and invalid_value for a key that
   occurs twice at whatever depth;
2. eventId, type, timestamp, payload in this order: missing_field, wrong_type, then what the field itself must be;
3. within the payload, text and keys that PostgreSQL cannot store, then numbers too long for it, in document order;
4. the payload's fields in the order of the struct;
5. timestamp_too_old, by a setting;
6. timestamp_in_future: the only fault that time heals stands last, so such a record is valid once its time comes.

Unknown fields of the envelope are ignored and not stored: they must be JSON without repeated keys, no more. Unknown
fields of the payload are stored, and held to rule 3.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import cast

from contract.checks import missing
from contract.codes import RejectionCode
from contract.contract import Contract
from contract.document import Document, Member, read
from contract.identity import MAX_ID_CHARACTERS, is_name, name_bytes, parse_timestamp, uuid_bytes
from contract.json_limits import MAX_DIGITS, too_deep
from contract.model import MAX_DEPTH, DecodeLimits, Event, Rejection
from contract.reader import Unfit, find
from contract.reasons import InvalidEvent, join, path_of, show
from contract.scalars import wrong_type

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decode(value: bytes, now_us: int, contract: Contract, limits: DecodeLimits) -> Event | Rejection:
    """Decide about a Kafka value. Never raises, whatever the bytes."""
    try:
        return _event(read(_text(value, limits)), now_us, contract, limits)
    except InvalidEvent as refused:
        return Rejection(refused.code, refused.reason)


def _text(value: bytes, limits: DecodeLimits) -> str:
    if len(value) > limits.max_value_bytes:
        expected = f"at most {limits.max_value_bytes} bytes"
        raise InvalidEvent(RejectionCode.TOO_LARGE, "$", expected, f"{len(value)} bytes")
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        found = f"byte 0x{value[error.start]:02x} at offset {error.start}: {error.reason}"
        raise InvalidEvent(RejectionCode.NOT_UTF8, "$", "UTF-8", found) from None
    if too_deep(value):
        raise InvalidEvent(RejectionCode.TOO_DEEP, "$", f"at most {MAX_DEPTH} levels of nesting", "more")
    if text.startswith("\ufeff"):
        raise InvalidEvent(RejectionCode.NOT_JSON, "$", "a JSON document", "a byte order mark before it")
    return text


def _event(document: Document, now_us: int, contract: Contract, limits: DecodeLimits) -> Event:
    members = document.members
    event_id, source_event_id = _event_id(_string(members, "eventId"))
    type_name = _string(members, "type")
    _refuse_unstorable(type_name, "$.type")
    event_type = contract.get(type_name)
    if event_type is None:
        raise InvalidEvent(RejectionCode.UNKNOWN_TYPE, "$.type", f"one of {', '.join(contract)}", show(type_name))
    timestamp = _string(members, "timestamp")
    occurred_at = parse_timestamp(timestamp)
    if occurred_at is None:
        expected = "a date and time with an offset such as 2025-05-18T14:00:00Z, in the years 1 to 9999"
        raise InvalidEvent(RejectionCode.INVALID_TIMESTAMP, "$.timestamp", expected, show(timestamp))
    payload = _member(members, "payload")
    if not isinstance(payload.value, dict):
        raise wrong_type("$.payload", "an object", payload.value)
    if "\\u" in payload.text:  # unescaped, neither is JSON in UTF-8
        _refuse_unstorable(payload.value, "$.payload")
    if document.unfit:
        _refuse_unfit(payload.value)
    event_type.check(payload.value, "$.payload")
    _refuse_old(occurred_at, timestamp, limits)
    _refuse_future(occurred_at, timestamp, now_us, limits)
    user_id = cast("str", payload.value["userId"])
    return Event(event_id, source_event_id, event_type.name, occurred_at, user_id, payload.text.encode())


def _member(members: dict[str, Member], name: str) -> Member:
    if name not in members:
        raise missing("$", name)
    return members[name]


def _string(members: dict[str, Member], name: str) -> str:
    value = _member(members, name).value
    if not isinstance(value, str):
        raise wrong_type(join("$", name), "a string", value)
    return value


def _event_id(text: str) -> tuple[bytes, str | None]:
    _refuse_unstorable(text, "$.eventId")
    uuid = uuid_bytes(text)
    if uuid is not None:
        return uuid, None
    if not is_name(text):
        expected = f"a UUID, or text of 1 to {MAX_ID_CHARACTERS} characters without control characters"
        found = f"{len(text)} characters: {show(text)}"
        raise InvalidEvent(RejectionCode.INVALID_EVENT_ID, "$.eventId", expected, found)
    return name_bytes(text), text


def _refuse_unstorable(value: object, path: str) -> None:
    fault = find(value, lambda each: isinstance(each, str) and _UNSTORABLE.search(each) is not None)
    if fault is not None:
        steps, text = fault
        expected = "text without U+0000 and lone surrogates"
        raise InvalidEvent(RejectionCode.UNSTORABLE_TEXT, path_of(steps, path), expected, _around(cast("str", text)))


def _around(text: str) -> str:
    match = _UNSTORABLE.search(text)
    start = max(0, match.start() - 20) if match else 0
    return show(text[start:])


def _refuse_unfit(value: object) -> None:
    fault = find(value, lambda each: isinstance(each, Unfit))
    if fault is not None:
        steps, number = fault
        expected = f"a number of at most {MAX_DIGITS} digits before and after the point when written out"
        raise InvalidEvent(RejectionCode.INVALID_VALUE, path_of(steps, "$.payload"), expected, show(number))


def _refuse_old(occurred_at: int, timestamp: str, limits: DecodeLimits) -> None:
    if limits.min_timestamp_us is not None and occurred_at < limits.min_timestamp_us:
        oldest = (_EPOCH + timedelta(microseconds=limits.min_timestamp_us)).isoformat()
        raise InvalidEvent(
            RejectionCode.TIMESTAMP_TOO_OLD, "$.timestamp", f"a time at or after {oldest}", show(timestamp)
        )


def _refuse_future(occurred_at: int, timestamp: str, now_us: int, limits: DecodeLimits) -> None:
    ahead = occurred_at - now_us
    if ahead > limits.max_future_us:
        expected = f"a time at most {limits.max_future_us // _SECOND} seconds ahead of the clock"
        found = f"{show(timestamp)}, {ahead // _SECOND} seconds ahead"
        raise InvalidEvent(RejectionCode.TIMESTAMP_IN_FUTURE, "$.timestamp", expected, found)
