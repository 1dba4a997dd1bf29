"""Closes hours and days when they are over: rebuilds them from raw.events, and so proves that nothing had drifted.

What belongs here: which hours and days, and the schedules. What does not: how they are rebuilt (`assets.aggregates`).

What a schedule missed while Dagster was down is made up for: it asks for everything since the last one that was closed,
a day back at most, in one run. A bucket is closed when every table of its group was rebuilt after it was over. Also the
schedule of the checks, which look at what was closed.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from assets.aggregates.assets import DAILY, HOURLY
from assets.aggregates.partition_status import was_rebuilt
from assets.aggregates.specs import asset_key
from assets.periods import DAY, HOUR, day_key, floor_day, floor_hour, hour_key

_MOST_HOURS, _MOST_DAYS = 24, 3
_LATEST = 3  # a refresh tells of a partition once, and after a rebuild never


class CloseJobs(NamedTuple):
    """Names of the jobs that rebuild hours and days, and of the one that checks."""

    hours: str
    days: str
    checks: str


def candidates(running: datetime, step: timedelta, most: int, start: datetime) -> list[datetime]:
    """Starts of the buckets before `running`, the oldest first, `most` at most, none before `start`.

    Args:
        running: start of the bucket that is not over yet.
        step: from one bucket to the next.
        most: how many buckets back to look.
        start: where partitions begin.
    """
    found = [running - step * back for back in range(most, 0, -1)]
    return [each for each in found if each + step > start] or [running]


def to_close(buckets: Sequence[datetime], is_closed: Callable[[datetime], bool]) -> tuple[datetime, datetime]:
    """The first and the last bucket to rebuild: from the oldest that is not closed to the one just over."""
    return next((each for each in buckets if not is_closed(each)), buckets[-1]), buckets[-1]


def closed_in(
    instance: dg.DagsterInstance, tables: Iterable[str], step: timedelta, key: Callable[[datetime], str]
) -> Callable[[datetime], bool]:
    """Whether every one of the tables was rebuilt since a bucket was over.

    One that was rebuilt alone, or while the bucket lasted, says nothing about the others and the rest of the bucket.
    The queries go by partition: the history of an hourly table has 8,760 partitions a year.
    """

    def is_closed(bucket: datetime) -> bool:
        over = (bucket + step).timestamp()
        return all(_rebuilt(instance, asset_key(table), key(bucket), over) for table in tables)

    return is_closed


def _rebuilt(instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str, since: float) -> bool:
    chosen = dg.AssetRecordsFilter(asset, asset_partitions=[partition], after_timestamp=since)
    return any(map(was_rebuilt, instance.fetch_materializations(chosen, limit=_LATEST).records))


def close_schedules(history_start: datetime, jobs: CloseJobs) -> list[dg.ScheduleDefinition]:
    """A few minutes past every hour, and at 00:10: late enough for the last events of the hour or the day."""

    @dg.schedule(
        name="close_hours",
        job_name=jobs.hours,
        cron_schedule="3 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Rebuilds the hourly tables of the hours that are over.",
    )
    def _hours(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        buckets = candidates(floor_hour(context.scheduled_execution_time), HOUR, _MOST_HOURS, history_start)
        return _request(map(hour_key, to_close(buckets, closed_in(context.instance, HOURLY, HOUR, hour_key))))

    @dg.schedule(
        name="close_days",
        job_name=jobs.days,
        cron_schedule="10 0 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Rebuilds the daily tables of the days that are over.",
    )
    def _days(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        buckets = candidates(floor_day(context.scheduled_execution_time), DAY, _MOST_DAYS, history_start)
        return _request(map(day_key, to_close(buckets, closed_in(context.instance, DAILY, DAY, day_key))))

    checks = dg.ScheduleDefinition(
        name="check_exactness_hourly",
        job_name=jobs.checks,
        cron_schedule="13 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Compares what is counted with what is stored.",
    )
    return [_hours, _days, checks]


def _request(keys: Iterable[str]) -> dg.RunRequest:
    """One run for the range. Without a run key: a failed run is made up for by the next one."""
    first, last = keys
    return dg.RunRequest(tags={ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last})
