"""The code location: assets, job, sensor and resources put together from the settings.

What belongs here: `build_defs`, by which production, tests and the demo differ in an argument. What does not: assets
and sensors themselves. Dagster loads `defs`; the environment is read then and not when this module is imported.
"""

from functools import cache

import dagster as dg

from millrace.assets.ingest.asset import DEAD_LETTERS, EVENTS, QUEUE, ingest_asset, topic_specs
from millrace.assets.ingest.plan import Limits
from millrace.assets.ingest.worker import Worker
from millrace.orchestration import settings as settings_module
from millrace.orchestration.clients import make_worker
from millrace.orchestration.settings import Settings
from millrace.sensors.kafka_offsets import KafkaOffsets, kafka_offsets_sensor

INGEST_JOB = "ingest"


def build_defs(settings: Settings, worker: Worker | None = None) -> dg.Definitions:
    """Everything Dagster needs to know.

    Args:
        settings: of this deployment.
        worker: instead of the one by the settings, for tests.
    """
    worker = worker or make_worker(settings)
    job = dg.define_asset_job(
        INGEST_JOB,
        selection=dg.AssetSelection.assets(EVENTS, DEAD_LETTERS),
        description="Executes one plan of Kafka ranges. Runs are requested by the sensor kafka_offsets.",
        # Only ingest runs name a queue: whatever a person starts in the UI goes to the default one.
        tags={
            "dagster-celery/queue": QUEUE,
            "dagster/max_runtime": str(round(settings.run_max_runtime.total_seconds())),
        },
    )
    world = KafkaOffsets(
        worker.kafka,
        worker.postgres,
        settings.kafka_topics,
        Limits(settings.lanes, settings.max_events_per_run),
        settings.progress_timeout,
        INGEST_JOB,
    )
    return dg.Definitions(
        assets=[*topic_specs(settings.kafka_topics), ingest_asset(settings.kafka_topics)],
        jobs=[job],
        sensors=[kafka_offsets_sensor(world, settings.sensor_interval, settings.run_max_runtime)],
        resources={"worker": worker},
        # A run is one process: it was warm before the run came.
        executor=dg.in_process_executor,
    )


@cache
def _built() -> dg.Definitions:
    return build_defs(settings_module.load())


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of this process; made once, so that clients stay warm from run to run."""
    return _built()
