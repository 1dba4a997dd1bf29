"""Spans of time, hours and days. All times UTC.

What belongs here: the one type for a span, the keys of hours and days as Dagster's partitions have them, and cutting.
What does not: partitions themselves (`assets.aggregates.assets`), and what is done for a span.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_HOUR_KEY, _DAY_KEY = "%Y-%m-%d-%H:00", "%Y-%m-%d"


class TimeSpan(NamedTuple):
    """From `low` up to but not including `high`."""

    low: datetime
    high: datetime

    def __str__(self) -> str:
        """For people."""
        return f"{self.low:%Y-%m-%d %H:%M} to {self.high:%Y-%m-%d %H:%M} UTC"

    def days(self) -> Iterator["TimeSpan"]:
        """Pieces of 24 hours, from the start on; the last one may be shorter."""
        low = self.low
        while low < self.high:
            yield TimeSpan(low, min(low + DAY, self.high))
            low += DAY


def hour_key(moment: datetime) -> str:
    """The key of the hour that a moment lies in."""
    return moment.astimezone(UTC).strftime(_HOUR_KEY)


def day_key(moment: datetime) -> str:
    """The key of the day that a moment lies in."""
    return moment.astimezone(UTC).strftime(_DAY_KEY)


def span_of_keys(first: str, last: str) -> TimeSpan:
    """From the start of the first hour or day to the end of the last, by their keys."""
    unit, form = (DAY, _DAY_KEY) if len(first) == len("2026-01-31") else (HOUR, _HOUR_KEY)
    low, high = (datetime.strptime(key, form).replace(tzinfo=UTC) for key in (first, last))
    return TimeSpan(low, high + unit)


def floor_hour(moment: datetime) -> datetime:
    """The start of its hour."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def floor_day(moment: datetime) -> datetime:
    """The start of its day."""
    return floor_hour(moment).replace(hour=0)
