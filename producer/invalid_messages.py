"""Messages that are wrong on purpose: a few ways each to provoke every rejection that a sender can provoke.

What belongs here: how good events are spoilt, by rejection code. What does not: how often (`message_mix`), and what
happens to them (`contract` decides, by the default settings: where MILLRACE_MIN_TIMESTAMP is off, old times are
events; a test holds the two together).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from producer.encoding import encode

Body = dict[str, Any]
_Spoil = Callable[[Random, Body], bytes]

# Above the most bytes that a Kafka value may have by default, so that the contract refuses it.
_TOO_LARGE = 1_100_000
_DEEP = 3_000
# One too large message among so many others: each is a megabyte.
_LARGE_EVERY = 500


def _not_json(rng: Random, body: Body) -> bytes:
    good = encode(body)
    cut, quoted, equals = good[: len(good) * 2 // 3], good.replace(b'"', b"'"), good.replace(b":", b"=", 1)
    return rng.choice((cut, quoted, equals, good + b"}", b"", b"hello"))


def _not_utf8(rng: Random, body: Body) -> bytes:
    body["payload"]["note"] = "Grüße"
    return rng.choice((encode(body).replace("üß".encode(), b"\xfc\xdf"), b"\xff" + encode(body), b"\x80\x81\x82"))


def _not_an_object(rng: Random, body: Body) -> bytes:
    return rng.choice((encode([body]), b"42", b'"login"', b"null", b"true", b"[]"))


def _missing_field(rng: Random, body: Body) -> bytes:
    if rng.random() < 0.3:
        del body["payload"]["userId"]
    else:
        del body[rng.choice(tuple(body))]
    return encode(body)


def _wrong_type(rng: Random, body: Body) -> bytes:
    spoilt = rng.choice((("payload", "none"), ("payload", [1, 2]), ("timestamp", 1747576800), ("eventId", 4711)))
    if rng.random() < 0.5:
        body[spoilt[0]] = spoilt[1]
    else:
        body["payload"]["userId"] = rng.choice((4711, None, ["u1"], {"id": "u1"}, True))
    return encode(body)


def _unknown_type(rng: Random, body: Body) -> bytes:
    body["type"] = rng.choice(("page_veiw", "no_such_type", "LOGIN", "logout ", "", "button-click", "登录"))
    return encode(body)


def _invalid_event_id(rng: Random, body: Body) -> bytes:
    body["eventId"] = rng.choice(("", "x" * 201, "line\nbreak", "tab\there", "é" * 300))
    return encode(body)


def _invalid_timestamp(rng: Random, body: Body) -> bytes:
    day, clock = body["timestamp"][:10], body["timestamp"][11:-1]
    days = (f"{day}T{clock}", f"{day}T24:00:00Z", f"{day}T10:00:60Z", day)
    years = (f"0000{day[4:]}T{clock}Z", f"{day[:4]}-02-30T{clock}Z", f"{day[:4]}-13-01T{clock}Z")
    body["timestamp"] = rng.choice((*days, *years, "yesterday", "infinity", ""))
    return encode(body)


def _timestamp_in_future(rng: Random, body: Body) -> bytes:
    # So far ahead that it is still the future when a backlog of hours is read.
    ahead = rng.choice((timedelta(days=1), timedelta(days=30), timedelta(days=3650)))
    body["timestamp"] = (datetime.fromisoformat(body["timestamp"]) + ahead).isoformat()
    return encode(body)


def _timestamp_too_old(rng: Random, body: Body) -> bytes:
    # What libraries and spreadsheets have for "no time", and the clock of a device that was never set.
    body["timestamp"] = rng.choice(("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1899-12-30T00:00:00.000Z"))
    return encode(body)


def _invalid_value(rng: Random, body: Body) -> bytes:
    payload = body["payload"]
    if "duration" in payload and rng.random() < 0.5:
        payload["duration"] = -1.5
    elif "ip" in payload and rng.random() < 0.7:
        payload["ip"] = rng.choice(("999.1.2.3", "localhost", "", "203.0.113.300", "2001:db8:::1"))
    else:
        payload["userId"] = rng.choice(("", "u" * 201))
    return encode(body)


def _too_deep(rng: Random, body: Body) -> bytes:
    nested = rng.choice((b"[" * _DEEP + b"]" * _DEEP, b'{"a":' * _DEEP + b"1" + b"}" * _DEEP))
    body["payload"]["extra"] = 0
    return encode(body).replace(b'"extra":0', b'"extra":' + nested)


def _unstorable_text(rng: Random, body: Body) -> bytes:
    body["payload"]["note"] = "@@"
    return encode(body).replace(b"@@", rng.choice((b"\\u0000", b"\\ud800", b"\\udc00 tail", b"nul\\u0000inside")))


def _too_large(body: Body) -> bytes:
    # All the same letter: it is compressed on the way and passes brokers that take no more than a megabyte.
    body["payload"]["note"] = "x" * _TOO_LARGE
    return encode(body)


_SPOILS: dict[str, _Spoil] = {
    "not_json": _not_json,
    "not_utf8": _not_utf8,
    "not_an_object": _not_an_object,
    "missing_field": _missing_field,
    "wrong_type": _wrong_type,
    "unknown_type": _unknown_type,
    "invalid_event_id": _invalid_event_id,
    "invalid_timestamp": _invalid_timestamp,
    "timestamp_in_future": _timestamp_in_future,
    "timestamp_too_old": _timestamp_too_old,
    "invalid_value": _invalid_value,
    "too_deep": _too_deep,
    "unstorable_text": _unstorable_text,
}
CODES = (*_SPOILS, "too_large")


class InvalidMessages:
    """Spoils one message after the other, every code equally often but for `too_large`, which is seldom."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._codes: list[str] = []
        self._done = 0

    def next(self, body: Body) -> tuple[str, bytes]:
        """The rejection that is provoked and the bytes that provoke it; the body is used up."""
        self._done += 1
        if self._done % _LARGE_EVERY == 0:
            return "too_large", _too_large(body)
        if not self._codes:
            self._codes = self._rng.sample(tuple(_SPOILS), len(_SPOILS))
        code = self._codes.pop()
        return code, _SPOILS[code](self._rng, body)
