"""Bytes become an event, or a rejection that says why not. The entry point for everything that reads Kafka.

What belongs here: the decoder, and its short cut for well-behaved events: it accepts only what `strict` would accept,
to the same event, or declines; a test holds that. What does not: rules and reasons (`strict`), tombstones (a record
without a value never comes here).

msgspec reads strict JSON, but it keeps the last of repeated keys, ignores unknown ones, and rounds numbers. Strings
tell whether that happened: every key is one. If the document holds exactly as many strings as the decoded fields
account for, then no key was there twice and none was unknown. So the quotes are counted, which is quick. In a flat
payload without escapes the number is known beforehand. Otherwise the whole document is decoded once more without a
type, its strings are counted, and its numbers are looked at; only there does msgspec show a decimal's text.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isinf
from typing import Any, cast

import msgspec
from msgspec import UNSET

from contract import strict
from contract.addresses import is_ip_address
from contract.codes import RejectionCode
from contract.contract import Contract
from contract.digits import MAX_DIGITS, fits
from contract.identity import name_bytes, quick_timestamp, quick_uuid
from contract.model import DecodeLimits, Event, Rejection
from contract.nesting import too_deep
from contract.shortcuts import Shortcut, shortcut
from contract.types import Payload

__all__ = ["Decoder", "Event", "Rejection", "RejectionCode"]

MAX_VALUE_BYTES = 1024 * 1024
MAX_FUTURE = timedelta(minutes=5)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_SHALLOW = 4096  # a document of fewer bytes cannot nest so deep that it troubles a parser that guards its stack
_BEFORE_ALL = -(1 << 63)  # microseconds: before year 1
_BACKSLASH = 92
_NUL_ESCAPE = b"\\u0000"
_EXPONENT = re.compile(rb"[0-9][eE]")
_SHORT_NUMBER = 300  # characters without an exponent that neither overflow a double nor vanish in it
_TOO_LONG = 10**MAX_DIGITS

_DECLINED = (msgspec.MsgspecError, ValueError, KeyError, RecursionError)
"""What the parts below raise where an event is not theirs: not JSON, out of bounds, no such type, not hexadecimal."""


class _Envelope(msgspec.Struct, gc=False):
    event_id: str = msgspec.field(name="eventId")
    type: str
    timestamp: str
    payload: msgspec.Raw


class Decoder:
    """Decodes Kafka values by a contract, within limits. Pure: the clock is handed in. Safe to share by threads."""

    def __init__(
        self,
        contract: Contract,
        max_value_bytes: int = MAX_VALUE_BYTES,
        max_future: timedelta = MAX_FUTURE,
        min_timestamp: datetime | None = None,
    ) -> None:
        self.contract = contract
        oldest = None if min_timestamp is None else (min_timestamp - _EPOCH) // _MICROSECOND
        self.limits = DecodeLimits(max_value_bytes, max_future // _MICROSECOND, oldest)
        self._fast = fast_path(contract, self.limits)

    def decode(self, value: bytes, now_us: int) -> Event | Rejection:
        """Decide about a value. Never raises, whatever the bytes.

        Args:
            value: a Kafka record's value.
            now_us: the time now, in microseconds since the Unix epoch.
        """
        return self._fast(value, now_us) or strict.decode(value, now_us, self.contract, self.limits)


def fast_path(contract: Contract, limits: DecodeLimits) -> Callable[[bytes, int], Event | None]:
    """A function that decodes a well-behaved value, or returns None where `strict` has to decide. It never raises."""
    made = {name: shortcut(event_type) for name, event_type in contract.items()}
    shortcuts = {name: cut for name, cut in made.items() if cut is not None}
    decode_envelope = msgspec.json.Decoder(_Envelope).decode
    max_value_bytes, max_future_us = limits.max_value_bytes, limits.max_future_us
    oldest_us = _BEFORE_ALL if limits.min_timestamp_us is None else limits.min_timestamp_us

    def decode(value: bytes, now_us: int) -> Event | None:
        if len(value) > max_value_bytes or (len(value) > _SHALLOW and too_deep(value)):
            return None
        try:
            envelope = decode_envelope(value)
            cut = shortcuts[envelope.type]
            fields = cut.decode(envelope.payload)
            payload = bytes(envelope.payload)
            occurred_at = quick_timestamp(envelope.timestamp)
            if occurred_at is None or occurred_at < oldest_us or occurred_at - now_us > max_future_us:
                return None
            if not _certain(value, payload, cut, fields):
                return None
            event_id = quick_uuid(envelope.event_id)
            if event_id is not None:
                return Event(event_id, None, cut.name, occurred_at, fields.user_id, payload)
            event_id = name_bytes(envelope.event_id)
            return Event(event_id, envelope.event_id, cut.name, occurred_at, fields.user_id, payload)
        except _DECLINED:
            return None

    return decode


def _certain(value: bytes, payload: bytes, cut: Shortcut, fields: Payload) -> bool:
    """Whether there is nothing in the document that msgspec has not seen or does not check."""
    for getter in cut.addresses:
        if isinstance(text := getter(fields), str) and not is_ip_address(text):
            return False
    for getter, holds in cut.inner_formats:
        if not holds(getter(fields)):
            return False
    escapes = _BACKSLASH in value
    if (escapes or not value.isascii()) and not _texts_fit(value, cut, fields):
        return False
    if escapes or not cut.flat or (cut.numbers and not _small_numbers(payload)):
        return _plain(value)
    quotes = cut.quotes
    for getter in cut.optional:
        found = getter(fields)
        if found is None:
            quotes -= 2
        elif found is UNSET:
            quotes -= 4
    return value.count(b'"') == quotes or _plain(value)


def _small_numbers(payload: bytes) -> bool:
    """Whether no number can be too long, nor overflow a double or vanish in it. Text may look like an exponent, too."""
    return len(payload) <= _SHORT_NUMBER and not _EXPONENT.search(payload)


def _plain(value: bytes) -> bool:
    """Whether any document has every key once, is not too deep, and holds no U+0000 and no number that is too long."""
    if _NUL_ESCAPE in value or too_deep(value):
        return False
    quotes = value.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"')
    return quotes == 2 * _strings(_decode_any(value))


def _strings(document: object) -> int:
    """How many strings a document holds, keys included; those of repeated keys are not in it any more."""
    count = 0
    pending = [document]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            count += 1
        elif isinstance(item, dict):
            members = cast("dict[str, object]", item)
            count += len(members)
            pending.extend(members.values())
        elif isinstance(item, list):
            pending.extend(cast("list[object]", item))
        elif isinstance(item, int) and abs(item) >= _TOO_LONG:
            raise ValueError
    return count


def _decimal(text: str) -> float:
    """A decimal as a double; ValueError where it does not fit, or where a double shows it as zero or infinite."""
    number = float(text)
    short = len(text) <= _SHORT_NUMBER and "e" not in text and "E" not in text
    if not short and (not fits(text) or number == 0 or isinf(number)):
        raise ValueError
    return number


_decode_any: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=_decimal).decode


def _texts_fit(value: bytes, cut: Shortcut, fields: Payload) -> bool:
    """Whether the document is UTF-8, which msgspec checks only where it makes strings, and its texts fit in bytes."""
    value.decode()
    return all(
        len(text.encode()) <= max_bytes for getter, max_bytes in cut.texts if isinstance(text := getter(fields), str)
    ) and all(holds(getter(fields)) for getter, holds in cut.inner_texts)
