"""Every job and its name.

What belongs here: names, selections, tags and descriptions. What does not: the work (`assets`), and when a job runs:
`sensors` is given the names by `orchestration.definitions`. Runs in Dagster's tables have these names; they stay.

Of the jobs only the ingest names a queue. Whatever else a person starts in the UI goes to the default one, where it
delays neither ingest nor refresh.
"""

from collections.abc import Mapping
from types import MappingProxyType

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG

from assets.aggregates.assets import DAILY, HOURLY, OVERALL
from assets.aggregates.fill_op import fill
from assets.aggregates.refresh_op import merge_new_events
from assets.aggregates.specs import asset_key
from assets.ingest.asset import DEAD_LETTERS, EVENTS, QUEUE
from assets.quality import checks
from assets.upkeep import assets as upkeep
from orchestration import hand_jobs
from orchestration.settings import Settings
from sensors.upkeep_schedules import WHEN

INGEST_JOB = "ingest"
REFRESH_JOB = "refresh_aggregates"
FILL_JOB = "fill_history"
HOURS_JOB, DAYS_JOB, OVERALL_JOB = "rebuild_hourly_tables", "rebuild_daily_tables", "rebuild_overall_tables"
CHECKS_JOB = "check_exactness"
# By the name of the asset that each makes.
UPKEEP_JOBS: Mapping[str, str] = MappingProxyType({name: f"{upkeep.GROUP}_{name}" for name in upkeep.NAMES})
NAMES = (
    INGEST_JOB,
    REFRESH_JOB,
    FILL_JOB,
    CHECKS_JOB,
    HOURS_JOB,
    DAYS_JOB,
    OVERALL_JOB,
    *UPKEEP_JOBS.values(),
    *hand_jobs.NAMES,
)


def ingest_job(settings: Settings) -> UnresolvedAssetJobDefinition:
    """What the sensor kafka_offsets requests."""
    return dg.define_asset_job(
        INGEST_JOB,
        selection=dg.AssetSelection.assets(EVENTS, DEAD_LETTERS).without_checks(),
        description="Executes one plan of Kafka ranges. Runs are requested by the sensor kafka_offsets.",
        tags={
            DAGSTER_CELERY_QUEUE_TAG: QUEUE,
            MAX_RUNTIME_SECONDS_TAG: str(round(settings.run_max_runtime.total_seconds())),
        },
    )


@dg.job(
    name=REFRESH_JOB,
    description="Takes new and late events into the aggregates. Requested by the sensor dirty_buckets.",
)
def refresh_aggregates() -> None:
    """One op."""
    merge_new_events()


@dg.job(name=FILL_JOB, description="Rebuilds days that aggregates lack. Requested by the sensor aggregate_history.")
def fill_history() -> None:
    """One op."""
    fill()


def rebuild_jobs() -> list[UnresolvedAssetJobDefinition]:
    """One for each group of tables that have the same partitions, with the checks of these tables."""
    described = {
        HOURS_JOB: (HOURLY, "Rebuilds a range of hours. By the schedule close_hours, and by `millrace backfill`."),
        DAYS_JOB: (DAILY, "Rebuilds a range of days. By the schedule close_days, and by `millrace backfill`."),
        OVERALL_JOB: (OVERALL, "Rebuilds the tables over all time. By `millrace backfill`."),
    }
    return [
        dg.define_asset_job(name, dg.AssetSelection.assets(*map(asset_key, tables)), description=text)
        for name, (tables, text) in described.items()
    ]


def checks_job() -> UnresolvedAssetJobDefinition:
    """What the schedule check_exactness_hourly requests."""
    chosen = dg.AssetSelection.checks(*map(checks.check_key, checks.TABLES))
    return dg.define_asset_job(CHECKS_JOB, chosen, description="Compares what is counted with what is stored.")


def upkeep_jobs() -> list[UnresolvedAssetJobDefinition]:
    """What the schedules of the same names request."""
    return [
        dg.define_asset_job(job, dg.AssetSelection.assets(upkeep.asset_key(name)), description=WHEN[name][1])
        for name, job in UPKEEP_JOBS.items()
    ]
