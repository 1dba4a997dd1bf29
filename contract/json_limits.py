"""Limits on a JSON document that hold whatever its type is: how deep it nests, how long its numbers are, each key once.

What belongs here: the rule about the size of numbers, exact on their text, since a float hides what it cannot hold;
the scan for depth, which needs no stack; and one quick check of all of it. What does not: whether a document is
well-formed and what to say about one that is not (`document`), and bounds of single fields (`types`).
"""

import re
from collections.abc import Callable
from itertools import accumulate
from math import isinf
from typing import Any, cast

import msgspec

from contract.model import MAX_DEPTH

MAX_DIGITS = 400
"""Digits that a number may need before the point, and as many after it, when it is written without an exponent.

Every double fits (1e308 has 309 digits, 5e-324 has 324 after the point), and `numeric` holds far more; but `jsonb`
writes 1e100000 out in full, so somebody's typing error would become 100 kB.
"""

_NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)0*([0-9]*))?")
SHORT_NUMBER = 300
"""Characters of a number without an exponent that neither overflow a double nor vanish in it."""

_TOO_LONG = 10**MAX_DIGITS
_NUL_ESCAPE = b"\\u0000"
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = [1 if byte in b"[{" else -1 for byte in range(256)]


def fits(text: str) -> bool:
    """Whether the number in a JSON document, given as its text there, is short enough when written out.

    Zeros count as they will be stored: `0.000` needs three digits after the point, and a zero with an exponent is a
    digit moved like any other (`0e400` is refused, since PostgreSQL would refuse a still larger exponent).
    """
    if len(text) <= MAX_DIGITS and "e" not in text and "E" not in text:
        return True
    match = _NUMBER.fullmatch(text)
    if match is None:
        return False
    whole, fraction, sign, exponent = match[1], match[2] or "", match[3], match[4] or "0"
    if len(exponent) > 6:  # far out of any bounds, and int() of a megabyte of digits is slow
        return False
    shift = -int(exponent) if sign == "-" else int(exponent)
    significant = (whole + fraction).lstrip("0") or "0"
    before = len(significant) - len(fraction) + shift
    after = len(fraction) - shift
    return before <= MAX_DIGITS and after <= MAX_DIGITS


def too_deep(value: bytes) -> bool:
    """Whether brackets outside strings nest deeper than `MAX_DEPTH`. Needs no stack, and no well-formed document."""
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _STRINGS.sub(b"", value).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH


def within_limits(value: bytes) -> bool:
    """Whether a document has every key once, is not too deep, and holds no U+0000 and no number that is too long.

    Raises:
        msgspec.MsgspecError, ValueError, RecursionError: it is no JSON, or holds a number that is too long.
    """
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
    short = len(text) <= SHORT_NUMBER and "e" not in text and "E" not in text
    if not short and (not fits(text) or number == 0 or isinf(number)):
        raise ValueError
    return number


_decode_any: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=_decimal).decode
