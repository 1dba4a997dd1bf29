"""What identifies an event: its id and its time, and how a producer's text becomes 16 bytes and microseconds.

What belongs here: the one rule about ids, the exact reading of timestamps (ISO 8601 with an offset), and the identity
of a value that was accepted when the rules were other ones. What does not: quick ways that agree with both (`decoder`),
the rules (`strict`: how far ahead of the clock an event may be), whether an id was seen before (`assets.ingest`).
"""

import json
import re
from binascii import unhexlify
from datetime import date
from hashlib import sha1
from typing import Any, NamedTuple, cast
from uuid import UUID

NAMESPACE = UUID("3b0633a5-3b1f-53ea-a428-a05384e456de")
"""The namespace of ids that are no UUIDs: `uuid5(NAMESPACE, eventId)`. Fixed for ever: stored ids follow from it.

It is `uuid5(uuid.NAMESPACE_DNS, "events.millrace")`.
"""

MAX_ID_CHARACTERS = 200
_NAMESPACE_BYTES = NAMESPACE.bytes
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

# Written for JSON Schema as well, so in the common part of all regular expressions: no \d, which means more in some.
TIMESTAMP_PATTERN = (
    "([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    "(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)"
)
_ISO = re.compile(TIMESTAMP_PATTERN)

SECOND = 1_000_000
MINUTE = 60 * SECOND
_HOUR = 60 * MINUTE
DAY = 24 * _HOUR
_EPOCH_DAY = date(1970, 1, 1).toordinal()
EARLIEST = (date.min.toordinal() - _EPOCH_DAY) * DAY
LATEST = (date.max.toordinal() + 1 - _EPOCH_DAY) * DAY - 1


def uuid_bytes(text: str) -> bytes | None:
    """The bytes of a UUID written with hyphens or as 32 hexadecimal digits, in any case; None for any other text."""
    return unhexlify(text.replace("-", "")) if _UUID.fullmatch(text) else None


def is_name(text: str) -> bool:
    """Whether the text may be an id although it is no UUID: 1-200 characters, none of them a control (C0, DEL, C1).

    Spaces, any script and the line separators U+2028 and U+2029 are no control characters: the id is kept as it is.
    """
    return 0 < len(text) <= MAX_ID_CHARACTERS and _CONTROL.search(text) is None


def name_bytes(text: str) -> bytes:
    """The bytes of `uuid5(NAMESPACE, text)`, without making the object."""
    digest = bytearray(sha1(_NAMESPACE_BYTES + text.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def parse_timestamp(text: str) -> int | None:
    """Microseconds since the epoch, digits beyond them cut off; None where the text is no timestamp.

    No leap seconds, no 24:00, and both the date as written and the moment in UTC lie in the years 1 to 9999.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, ahead_hours, ahead_minutes = match.groups(default="0")
    clock = (int(hour), int(minute), int(second), int(ahead_hours), int(ahead_minutes))
    if any(part >= bound for part, bound in zip(clock, (24, 60, 60, 24, 60), strict=True)):
        return None
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    local = days * DAY + clock[0] * _HOUR + clock[1] * MINUTE + clock[2] * SECOND + int(fraction[:6].ljust(6, "0"))
    ahead = clock[3] * _HOUR + clock[4] * MINUTE
    moment = local + ahead if sign == "-" else local - ahead
    return moment if EARLIEST <= moment <= LATEST else None


class Identity(NamedTuple):
    """An event's id (16 bytes), and when it says it occurred (microseconds since 1970), where that can be read."""

    event_id: bytes
    occurred_at: int | None


def identity(value: bytes | None) -> Identity | None:
    """The identity of a Kafka value; None where it has none. Never raises, whatever the bytes."""
    members = _members(value)
    event_id, timestamp = members.get("eventId"), members.get("timestamp")
    if not isinstance(event_id, str):
        return None
    try:
        found = uuid_bytes(event_id) or name_bytes(event_id)
    except UnicodeEncodeError:  # half of a surrogate pair was never stored
        return None
    return Identity(found, parse_timestamp(timestamp) if isinstance(timestamp, str) else None)


def _members(value: bytes | None) -> dict[str, Any]:
    try:
        found: object = json.loads(value or b"", parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
