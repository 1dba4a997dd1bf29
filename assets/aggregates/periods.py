"""Hours and days as Dagster's partitions, and the way from a run's partitions to a span of time. All times UTC.

What belongs here: partitions, their keys and spans. What does not: what is done for a span (`assets`).
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import dagster as dg

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_HOUR_KEY, _DAY_KEY = "%Y-%m-%d-%H:00", "%Y-%m-%d"


class TimeSpan(NamedTuple):
    """From `low` up to but not including `high`."""

    low: datetime
    high: datetime


def hourly(start: datetime) -> dg.HourlyPartitionsDefinition:
    """One partition an hour, the current one included: it can be looked at and rebuilt while it lasts."""
    return dg.HourlyPartitionsDefinition(start_date=hour_key(start), timezone="UTC", end_offset=1)


def daily(start: datetime) -> dg.DailyPartitionsDefinition:
    """One partition a day, the current one included."""
    return dg.DailyPartitionsDefinition(start_date=day_key(start), timezone="UTC", end_offset=1)


def hour_key(moment: datetime) -> str:
    """The key of the hour that a moment lies in."""
    return moment.astimezone(UTC).strftime(_HOUR_KEY)


def day_key(moment: datetime) -> str:
    """The key of the day that a moment lies in."""
    return moment.astimezone(UTC).strftime(_DAY_KEY)


def floor_hour(moment: datetime) -> datetime:
    """The start of its hour."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def floor_day(moment: datetime) -> datetime:
    """The start of its day."""
    return floor_hour(moment).replace(hour=0)
