"""Event ids, timestamps and the bytes of a message.

What belongs here: how a simulated event becomes a Kafka value. What does not: values that are wrong on
purpose (`invalid_messages`) and where they are sent.
"""

from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Any

import msgspec

from producer.simulation import SimulatedEvent

_BLANK_ID = b"00000000-0000-4000-8000-000000000000"
# Where each of 32 random hex digits goes in an id; digit 12 is the version and stays.
_PLACES = tuple((digit, digit + (digit >= 8) + (digit >= 12) + (digit >= 16) + (digit >= 20)) for digit in range(32))
_VARIANT = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)
_AHEAD = 256

_encoder = msgspec.json.Encoder()


def event_ids(rng: Random, count: int) -> bytes:
    """Random UUIDs (version 4), 36 ASCII bytes each, one after the other.

    Column by column through strided slices: a sixth of a microsecond an id, ten times faster than `uuid`.
    """
    digits = rng.randbytes(16 * count).hex().encode()
    out = bytearray(_BLANK_ID * count)
    for source, target in _PLACES:
        if source == 16:
            out[target::36] = digits[source::32].translate(_VARIANT)
        elif source != 12:
            out[target::36] = digits[source::32]
    return bytes(out)


class EventIds:
    """Event ids one by one, from a seeded generator."""

    def __init__(self, seed: str) -> None:
        self._rng = Random(seed)
        self._ready: list[str] = []

    def next(self) -> str:
        """An id that was not given out before."""
        if not self._ready:
            text = event_ids(self._rng, _AHEAD).decode()
            self._ready = [text[at : at + 36] for at in range(0, len(text), 36)]
        return self._ready.pop()


@lru_cache(maxsize=64)
def iso_second(seconds: int) -> str:
    """The part of a timestamp up to the whole second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def iso(at_us: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC."""
    seconds, rest = divmod(at_us, 1_000_000)
    return f"{iso_second(seconds)}.{rest:06d}Z"


def message(event: SimulatedEvent, event_id: str) -> dict[str, Any]:
    """The event as the JSON object that is sent."""
    return {"eventId": event_id, "type": event.type, "timestamp": iso(event.at_us), "payload": event.payload}


def encode(body: object) -> bytes:
    """JSON as a well-behaved client writes it: UTF-8, no blanks."""
    return _encoder.encode(body)
