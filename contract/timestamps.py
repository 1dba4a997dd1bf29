"""Timestamps: ISO 8601 text with an offset, as microseconds since the Unix epoch.

What belongs here: the exact reading and a quick one that agrees with it. What does not: how far ahead of the clock
an event may be (`strict`), and anything that needs a time zone's name.
"""

import re
from datetime import date
from functools import lru_cache

# Written for JSON Schema as well, so in the common part of all regular expressions: no \d, which means more in some.
PATTERN = (
    "([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    "(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)"
)
_ISO = re.compile(PATTERN)

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_EPOCH = date(1970, 1, 1).toordinal()
EARLIEST = (date.min.toordinal() - _EPOCH) * _DAY
LATEST = (date.max.toordinal() + 1 - _EPOCH) * _DAY - 1

_MILLISECONDS = {f"{part:03}": part * 1000 for part in range(1000)}
_MICROSECONDS = {f"{part:03}": part for part in range(1000)}


def parse(text: str) -> int | None:
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
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    local = days * _DAY + clock[0] * _HOUR + clock[1] * _MINUTE + clock[2] * _SECOND + int(fraction[:6].ljust(6, "0"))
    ahead = clock[3] * _HOUR + clock[4] * _MINUTE
    moment = local + ahead if sign == "-" else local - ahead
    return moment if EARLIEST <= moment <= LATEST else None


def quick(text: str) -> int | None:
    """The same as `parse`, several times faster for the usual forms: 0, 3 or 6 decimals, and `Z` or `+02:00`."""
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
            local = quick(text[:-6] + "Z")
            moment = LATEST + 1 if local is None else local - _ahead(text[-6:])
            return moment if EARLIEST <= moment <= LATEST else None
    except (KeyError, ValueError):  # not digits; no such second
        return None
    return parse(text)


@lru_cache(maxsize=16_384)  # events of the same seconds come together
def _second(text: str) -> int:
    """The moment of text such as `2025-05-18T14:00:00`; with these 19 characters, nothing is missing but the offset."""
    moment = parse(text + "Z")
    if moment is None:
        raise ValueError
    return moment


@lru_cache(maxsize=1024)  # there are fewer that somebody lives by
def _ahead(offset: str) -> int:
    """How far an offset such as `+02:00` is ahead of UTC; with these six characters, it is written in full."""
    moment = parse("1970-01-02T00:00:00" + offset)
    if moment is None:
        raise ValueError
    return _DAY - moment
