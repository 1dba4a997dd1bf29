"""The jobs that are made of assets: which assets, which queue.

What belongs here: selections, tags and descriptions. What does not: when they run (`sensors`), and the job
`refresh_aggregates`, which is no selection of assets (`assets.aggregates.refresh_job`).
"""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.aggregates.assets import DAILY, HOURLY, OVERALL
from assets.aggregates.specs import asset_key
from assets.ingest.asset import DEAD_LETTERS, EVENTS, QUEUE
from assets.quality.checks import EXACTNESS
from orchestration.settings import Settings
from sensors.close_schedules import CHECKS_JOB, DAYS_JOB, HOURS_JOB, OVERALL_JOB

INGEST_JOB = "ingest"


def ingest_job(settings: Settings) -> UnresolvedAssetJobDefinition:
    """What the sensor kafka_offsets requests."""
    return dg.define_asset_job(
        INGEST_JOB,
        selection=dg.AssetSelection.assets(EVENTS, DEAD_LETTERS),
        description="Executes one plan of Kafka ranges. Runs are requested by the sensor kafka_offsets.",
        # Only this job names a queue: whatever a person starts in the UI goes to the default one.
        tags={
            "dagster-celery/queue": QUEUE,
            "dagster/max_runtime": str(round(settings.run_max_runtime.total_seconds())),
        },
    )


def rebuild_jobs() -> list[UnresolvedAssetJobDefinition]:
    """None names a queue: they belong to the default one, where they delay neither ingest nor refresh."""
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
    return dg.define_asset_job(
        CHECKS_JOB, dg.AssetSelection.assets(EXACTNESS), description="Compares what is counted with what is stored."
    )
