"""What decoding yields, and the limits it works within.

What belongs here: shapes without behaviour. What does not: how bytes become one of them (`decode`).
"""

import msgspec

from contract.codes import RejectionCode

MAX_DEPTH = 64
"""Levels of objects and arrays that a document may have; the document itself is the first."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """An accepted event, ready to be stored.

    Attributes:
        event_id: the UUID's 16 bytes.
        source_event_id: the id as it was sent, where that is not a UUID.
        type: one of the contract's types.
        occurred_at: microseconds since the Unix epoch, UTC; negative before 1970.
        user_id: `payload.userId`.
        payload: the JSON text of the payload exactly as it was sent.
    """

    event_id: bytes
    source_event_id: str | None
    type: str
    occurred_at: int
    user_id: str
    payload: bytes


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Why a value is no event: a code for machines, a reason for people.

    The reason can always be stored as PostgreSQL text: printable, without NUL and lone surrogates, at most
    `reasons.MAX_REASON` characters.
    """

    code: RejectionCode
    reason: str


class DecodeLimits(msgspec.Struct, frozen=True):
    """The settings that bound what is accepted."""

    max_value_bytes: int
    max_future_us: int
    min_timestamp_us: int | None = None
