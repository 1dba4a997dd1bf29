"""Why a record is no event: every rejection code, stable, with its meaning.

What belongs here: the codes. What does not: when one applies (`strict`, `checks`) and what becomes of the record
(`assets.ingest`). A code is stored and counted; it is never renamed, and a new one is added at the end.
"""

from enum import StrEnum
from typing import Self


class RejectionCode(StrEnum):
    """The codes of `raw.dead_letters.code`. Each carries its meaning."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Make a member that carries its meaning beside its value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    NOT_JSON = "not_json", "The value is not one JSON document (RFC 8259): empty, cut off, NaN, a byte order mark."
    NOT_UTF8 = "not_utf8", "The value is not valid UTF-8."
    NOT_AN_OBJECT = "not_an_object", "The value is JSON, but not an object."
    MISSING_FIELD = "missing_field", "A field that the contract requires is not there."
    WRONG_TYPE = "wrong_type", "A field holds another JSON type than the contract says, null included."
    UNKNOWN_TYPE = "unknown_type", "The event's type is not one that the contract knows."
    INVALID_EVENT_ID = "invalid_event_id", "The eventId is no UUID and no text of 1-200 characters without controls."
    INVALID_TIMESTAMP = "invalid_timestamp", "The timestamp is no ISO 8601 date and time with offset, years 1-9999."
    TIMESTAMP_IN_FUTURE = "timestamp_in_future", "All is well but the timestamp, which is too far ahead of the clock."
    INVALID_VALUE = "invalid_value", "A value breaks its bounds, a number has over 400 digits, or a key is there twice."
    TOO_LARGE = "too_large", "The value has more bytes than the setting allows."
    TOO_DEEP = "too_deep", "Objects and arrays are nested more than 64 levels deep."
    UNSTORABLE_TEXT = "unstorable_text", "Text holds U+0000 or half of a surrogate pair, which PostgreSQL cannot store."
    EVENT_ID_CONFLICT = (
        "event_id_conflict",
        "An event with this id, but other content or another time, is stored already.",
    )
    STORAGE_REJECTED = "storage_rejected", "The event is valid, and PostgreSQL refused its row all the same."
    TIMESTAMP_TOO_OLD = "timestamp_too_old", "All is well but the timestamp, which is before MILLRACE_MIN_TIMESTAMP."
