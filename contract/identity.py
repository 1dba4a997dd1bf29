"""Which event a value shows, whatever the rules say of it: its id and its time, as far as they can be read.

What belongs here: reading the identity of a value that was accepted once, when the rules were other ones. What does
not: the rules (`strict`). Nothing is refused here but what has no identity at all.
"""

import json
from typing import Any, NamedTuple, cast

from contract import ids, timestamps


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
        found = ids.uuid_bytes(event_id) or ids.name_bytes(event_id)
    except UnicodeEncodeError:  # half of a surrogate pair was never stored
        return None
    return Identity(found, timestamps.parse(timestamp) if isinstance(timestamp, str) else None)


def _members(value: bytes | None) -> dict[str, Any]:
    try:
        found: object = json.loads(value or b"", parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
