"""When the upkeep is done: a schedule for each of its assets.

What belongs here: minutes and hours. What does not: the work (`assets.upkeep`) and the jobs (`orchestration.jobs`).
Minutes keep clear of those at which hours are closed.
"""

from collections.abc import Mapping
from types import MappingProxyType

import dagster as dg

# Cron expression (UTC) and description, by the name of the asset.
WHEN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "dagster_history": ("6-56/10 * * * *", "Trims Dagster's own tables, every ten minutes."),
        "partitions": ("38 * * * *", "Makes day partitions ahead, every hour."),
        "ledger": ("23 * * * *", "Folds old batches of the ledger and forgets what is settled, every hour."),
        "retention": ("33 3 * * *", "Drops raw events behind the frontier of retention, every day; off by default."),
        "reused_ids": ("48 2 * * *", "Lists ids that were used twice, every day."),
    }
)


def upkeep_schedules(jobs: Mapping[str, str]) -> list[dg.ScheduleDefinition]:
    """The schedules, all running from the start; each has the name of its job.

    Args:
        jobs: name of the job by the name of the asset that it makes.
    """
    return [
        dg.ScheduleDefinition(
            name=jobs[name],
            job_name=jobs[name],
            cron_schedule=cron,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=description,
        )
        for name, (cron, description) in WHEN.items()
    ]
