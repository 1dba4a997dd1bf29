"""Bytes become an event, or a rejection that says why not. The entry point for everything that reads Kafka.

What belongs here: the decoder, and its short cut for well-behaved events, with a quick reading of their ids and times.
It accepts only what `strict` would accept, to the same event, or declines; a test holds that. What does not: rules and
reasons (`strict`, `identity`), tombstones (a record without a value never comes here).

msgspec reads strict JSON, but it keeps the last of repeated keys, ignores unknown ones, and rounds numbers. Strings
tell whether that happened: every key is one. If the document holds exactly as many strings as the decoded fields
account for, then no key was there twice and none was unknown. So the quotes are counted, which is quick. In a flat
payload without escapes the number is known beforehand. Otherwise the whole document is decoded once more without a
type, its strings are counted, and its numbers are looked at (`json_limits`).
"""

import re
from binascii import unhexlify
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec
from msgspec import UNSET

from contract import strict
from contract.addresses import is_ip_address
from contract.codes import RejectionCode
from contract.contract import Contract
from contract.identity import DAY, EARLIEST, LATEST, MINUTE, SECOND, is_name, name_bytes, parse_timestamp, uuid_bytes
from contract.json_limits import SHORT_NUMBER, too_deep, within_limits
from contract.model import DecodeLimits, Event, Rejection
from contract.shortcuts import Shortcut, shortcut
from contract.types import Payload

__all__ = ["Decoder", "Event", "Rejection", "RejectionCode"]

MAX_VALUE_BYTES = 1024 * 1024
MAX_FUTURE = timedelta(minutes=5)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_SHALLOW = 4096  # a document of fewer bytes cannot nest so deep that it troubles a parser that guards its stack
_BEFORE_ALL = -(1 << 63)  # microseconds: before year 1
_BACKSLASH = 92
_EXPONENT = re.compile(rb"[0-9][eE]")
_MILLISECONDS = {f"{part:03}": part * 1000 for part in range(1000)}
_MICROSECONDS = {f"{part:03}": part for part in range(1000)}
_CLOCK = {f"T{at // 60:02}:{at % 60:02}": at * MINUTE for at in range(24 * 60)}
_SECONDS = {f":{part:02}": part * SECOND for part in range(60)}

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
        return within_limits(value)
    quotes = cut.quotes
    for getter in cut.optional:
        found = getter(fields)
        if found is None:
            quotes -= 2
        elif found is UNSET:
            quotes -= 4
    return value.count(b'"') == quotes or within_limits(value)


def _small_numbers(payload: bytes) -> bool:
    """Whether no number can be too long, nor overflow a double or vanish in it. Text may look like an exponent, too."""
    return len(payload) <= SHORT_NUMBER and not _EXPONENT.search(payload)


def _texts_fit(value: bytes, cut: Shortcut, fields: Payload) -> bool:
    """Whether the document is UTF-8, which msgspec checks only where it makes strings, and its texts fit in bytes."""
    value.decode()
    return all(
        len(text.encode()) <= max_bytes for getter, max_bytes in cut.texts if isinstance(text := getter(fields), str)
    ) and all(holds(getter(fields)) for getter, holds in cut.inner_texts)


def quick_uuid(text: str) -> bytes | None:
    """The same as `uuid_bytes`, faster for the usual form; None only where `name_bytes` is right.

    Raises:
        ValueError: the text looks like a UUID and is none, or is no id at all; the exact functions say which.
    """
    if len(text) == 36 and text[8:24:5] == "----":
        found = unhexlify(text.replace("-", ""))
    else:
        found = uuid_bytes(text)
        if found is None and is_name(text):
            return None
    if found is None or len(found) != 16:
        raise ValueError(text)
    return found


def quick_timestamp(text: str) -> int | None:
    """The same as `parse_timestamp`, faster for the usual forms: 0, 3 or 6 decimals, and `Z` or `+02:00`."""
    length = len(text)
    try:
        if length == 24 and text[19] == "." and text[23] == "Z":
            return _second(text[:19]) + _MILLISECONDS[text[20:23]]
        if length == 27 and text[19] == "." and text[26] == "Z":
            fraction = _MILLISECONDS[text[20:23]] + _MICROSECONDS[text[23:26]]
            return _second(text[:19]) + fraction
        if length == 20 and text[19] == "Z":
            return _second(text[:19])
        if length in (25, 29, 32) and text[-6] in "+-":
            local = quick_timestamp(text[:-6] + "Z")
            moment = LATEST + 1 if local is None else local - _ahead(text[-6:])
            return moment if EARLIEST <= moment <= LATEST else None
    except (KeyError, ValueError):  # not digits; no such second
        return None
    return parse_timestamp(text)


@lru_cache(maxsize=16_384)  # events of the same seconds come together
def _second(text: str) -> int:
    """The moment of text such as `2025-05-18T14:00:00`; with these 19 characters, nothing is missing but the offset."""
    clock = _CLOCK.get(text[10:16])
    if clock is not None:
        return _day(text[:10]) + clock + _SECONDS[text[16:]]
    moment = parse_timestamp(text + "Z")  # a `t` or a space, if it is a moment
    if moment is None:
        raise ValueError
    return moment


@lru_cache(maxsize=16_384)
def _day(text: str) -> int:
    """The beginning of a day such as `2025-05-18` in UTC."""
    moment = parse_timestamp(text + "T00:00:00Z")
    if moment is None:
        raise ValueError
    return moment


@lru_cache(maxsize=1024)  # there are fewer that somebody lives by
def _ahead(offset: str) -> int:
    """How far an offset such as `+02:00` is ahead of UTC; with these six characters, it is written in full."""
    moment = parse_timestamp("1970-01-02T00:00:00" + offset)
    if moment is None:
        raise ValueError
    return DAY - moment
