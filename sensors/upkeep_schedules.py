"""When the upkeep is done: a job and a schedule for each of its assets.

What belongs here: minutes and hours. What does not: the work (`assets.upkeep`). The jobs name no queue: they
belong to the default one, where they do not delay ingest. Minutes keep clear of those at which hours are closed.
"""

from collections.abc import Mapping
from types import MappingProxyType

import dagster as dg

from assets.upkeep.assets import JOBS, asset_key

# All times UTC.
_WHEN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "dagster_history": ("6-56/10 * * * *", "Trims Dagster's own tables, every ten minutes."),
        "partitions": ("38 * * * *", "Makes day partitions ahead, every hour."),
        "ledger": ("23 * * * *", "Folds old batches of the ledger and forgets what is settled, every hour."),
        "retention": ("33 3 * * *", "Drops raw events behind the frontier of retention, every day; off by default."),
        "reused_ids": ("48 2 * * *", "Lists ids that were used twice, every day."),
    }
)


def upkeep_schedules() -> list[dg.ScheduleDefinition]:
    """The schedules with their jobs, all running from the start."""
    return [
        dg.ScheduleDefinition(
            name=JOBS[name],
            job=dg.define_asset_job(JOBS[name], dg.AssetSelection.assets(asset_key(name)), description=description),
            cron_schedule=cron,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=description,
        )
        for name, (cron, description) in _WHEN.items()
    ]
