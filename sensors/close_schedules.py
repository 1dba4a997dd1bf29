"""Closes hours and days when they are over: rebuilds them from raw.events, and so proves that nothing had drifted.

What belongs here: which hours and days, and the schedules. What does not: how they are rebuilt (`assets.aggregates`).

What a schedule missed while Dagster was down is made up for: it asks for everything since the last one that was closed,
a day back at most, in one run. Also the schedule of the checks, which look at what was closed.
"""

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from assets.aggregates.assets import DAILY, HOURLY
from assets.aggregates.periods import DAY, HOUR, day_key, floor_day, floor_hour, hour_key
from assets.aggregates.specs import asset_key

HOURS_JOB, DAYS_JOB, OVERALL_JOB = "rebuild_hourly_tables", "rebuild_daily_tables", "rebuild_overall_tables"
CHECKS_JOB = "check_exactness"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_MOST_HOURS, _MOST_DAYS = 24, 3


def to_close(
    running: datetime, step: timedelta, closed: Collection[str], key: Callable[[datetime], str], most: int, start: date
) -> tuple[str, str]:
    """The keys of the first and the last bucket to rebuild: from the oldest that is not closed to the one just over.

    Args:
        running: start of the bucket that is not over yet.
        step: from one bucket to the next.
        closed: keys of the buckets that were rebuilt.
        key: of a bucket.
        most: how many buckets back to look.
        start: the first day that has partitions.
    """
    earliest = datetime(start.year, start.month, start.day, tzinfo=UTC)
    candidates = [running - step * back for back in range(most, 0, -1)]
    candidates = [each for each in candidates if each >= earliest] or [running]
    first = next((each for each in candidates if key(each) not in closed), candidates[-1])
    return key(first), key(candidates[-1])


def close_schedules(history_start: date) -> list[dg.ScheduleDefinition]:
    """A few minutes past every hour, and at 00:10: late enough for the last events of the hour or the day."""

    @dg.schedule(
        name="close_hours",
        job_name=HOURS_JOB,
        cron_schedule="3 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Rebuilds the hourly tables of the hours that are over.",
    )
    def _hours(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        closed = context.instance.get_materialized_partitions(asset_key(HOURLY[0]))
        running = floor_hour(context.scheduled_execution_time)
        return _request(to_close(running, HOUR, closed, hour_key, _MOST_HOURS, history_start))

    @dg.schedule(
        name="close_days",
        job_name=DAYS_JOB,
        cron_schedule="10 0 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Rebuilds the daily tables of the days that are over.",
    )
    def _days(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        closed = context.instance.get_materialized_partitions(asset_key(DAILY[0]))
        running = floor_day(context.scheduled_execution_time)
        return _request(to_close(running, DAY, closed, day_key, _MOST_DAYS, history_start))

    checks = dg.ScheduleDefinition(
        name="check_exactness_hourly",
        job_name=CHECKS_JOB,
        cron_schedule="13 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Holds what is counted against what is stored.",
    )
    return [_hours, _days, checks]


def _request(keys: tuple[str, str]) -> dg.RunRequest:
    """One run for the range. Without a run key: a failed run is made up for by the next one."""
    return dg.RunRequest(tags={RANGE_START: keys[0], RANGE_END: keys[1]})
