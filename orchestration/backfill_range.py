"""Which hours a backfill is about, as people write it. Pure.

What belongs here: reading days, hours and names of tables, and what is said when they are wrong. What does not: knowing
what the database holds.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from assets.periods import DAY, HOUR, TimeSpan, floor_day, floor_hour

_SHAPES = {
    "%Y-%m-%d": DAY,
    "%Y-%m-%dT%H": HOUR,
    "%Y-%m-%dT%H:00": HOUR,
    "%Y-%m-%d %H:00": HOUR,
    "%Y-%m-%dT%H:00:00": HOUR,
    "%Y-%m-%d-%H:00": HOUR,  # as the user interface writes an hour
}


class RangeError(Exception):
    """A range or a table that cannot be meant; its text is for the person who typed it."""


def read_range(first: str | None, last: str | None, days: int | None, now: datetime) -> TimeSpan:
    """The range that was asked for; what lies ahead of the running hour is left out.

    Raises:
        RangeError: it cannot be read, is empty, lies ahead, or is given twice or not at all.
    """
    end = floor_hour(now) + HOUR
    if days is not None:
        if first or last:
            raise RangeError("either --days or --from and --to")
        return TimeSpan(floor_day(now) - (days - 1) * DAY, end)
    if first is None:
        raise RangeError("say which range: --from 2026-01-01 --to 2026-01-31, or --days 7")
    low, _ = _moment("--from", first)
    start, unit = _moment("--to", last) if last else (end - HOUR, HOUR)
    if start + unit <= low:
        raise RangeError(f"the range ends before it begins: --from {first} --to {last or 'now'}")
    if low >= end:
        raise RangeError(f"--from {first} lies in the future (now: {now:%Y-%m-%dT%H:%M} UTC)")
    return TimeSpan(low, min(start + unit, end))


def read_tables(text: str | None, known: Collection[str]) -> frozenset[str]:
    """The tables that were asked for.

    Raises:
        RangeError: one is unknown.
    """
    if text is None:
        return frozenset(known)
    names = [name.strip().removeprefix("analytics.") for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise RangeError(f"no such table: {', '.join(unknown) or '(none named)'}; there are {', '.join(sorted(known))}")
    return frozenset(names)


def _moment(option: str, text: str) -> tuple[datetime, timedelta]:
    """Start and length of a day or an hour."""
    for shape, unit in _SHAPES.items():
        try:
            return datetime.strptime(text.strip().removesuffix("Z"), shape).replace(tzinfo=UTC), unit
        except ValueError:
            continue
    raise RangeError(f"{option} {text}: expected a day or a full hour in UTC, such as 2026-01-31 or 2026-01-31T08")
