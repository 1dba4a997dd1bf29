"""The code location: assets, jobs, sensors and resources put together from the settings.

What belongs here: `build_defs`, by which production, tests and the demo differ in an argument. What does not: assets,
sensors and jobs themselves. Dagster loads `defs`; the environment is read then and not when this module is imported.
"""

from datetime import timedelta
from functools import cache

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.aggregates.assets import aggregate_assets
from assets.aggregates.refresh_op import QUEUE as REFRESH_QUEUE
from assets.aggregates.view_specs import view_specs
from assets.aggregates.writer import AggregateWriter
from assets.ingest.asset import QUEUE as INGEST_QUEUE
from assets.ingest.asset import ingest_asset, topic_specs
from assets.ingest.plan import PlanLimits
from assets.ingest.worker import Worker
from assets.quality.checks import exactness_asset
from assets.upkeep.assets import Upkeep, upkeep_assets
from assets.upkeep.dagster_history import RunHistory
from assets.upkeep.ledger_history import LedgerHistory
from contract.contract import Contract
from monitoring.metrics.resource import Metrics
from orchestration import jobs
from orchestration import settings as settings_module
from orchestration.dagster_resources import resources
from orchestration.dagster_runtime.broker import DEFAULT_QUEUE
from orchestration.factories import make_aggregates, make_metrics, make_worker
from orchestration.settings import Settings
from sensors.aggregate_history import AggregateHistory, aggregate_history_sensor
from sensors.close_schedules import CloseJobs, close_schedules
from sensors.dirty_buckets import DirtyBuckets, dirty_buckets_sensor
from sensors.kafka_offsets import KafkaOffsets, kafka_offsets_sensor
from sensors.metrics import metrics_sensor
from sensors.run_failures import RunFailures, run_failures_sensor
from sensors.upkeep_schedules import upkeep_schedules


def build_defs(
    settings: Settings,
    worker: Worker | None = None,
    aggregates: AggregateWriter | None = None,
    metrics: Metrics | None = None,
) -> dg.Definitions:
    """Everything Dagster needs to know.

    Args:
        settings: of this deployment.
        worker: instead of the one by the settings, for tests.
        aggregates: likewise.
        metrics: likewise.
    """
    worker = worker or make_worker(settings)
    aggregates = aggregates or make_aggregates(settings)
    metrics = metrics or make_metrics(settings, jobs.NAMES, (INGEST_QUEUE, REFRESH_QUEUE, DEFAULT_QUEUE))
    return dg.Definitions(
        assets=[
            *topic_specs(settings.kafka_topics),
            ingest_asset(settings.kafka_topics),
            *aggregate_assets(settings.history_start, settings.asset_owners, settings.freshness),
            *view_specs(Contract(), settings.asset_owners),
            exactness_asset(settings.freshness, settings.asset_owners),
            *upkeep_assets(settings.asset_owners),
        ],
        jobs=_jobs(settings),
        sensors=[
            _kafka_offsets(settings, worker),
            _dirty_buckets(settings, worker),
            _aggregate_history(worker, aggregates),
            run_failures_sensor(RunFailures(worker.postgres)),
            metrics_sensor(metrics, settings.metrics_interval),
        ],
        schedules=_schedules(settings),
        resources=resources(settings, worker, aggregates, metrics, _upkeep(settings, worker, aggregates)),
        # A run is one process: it was warm before the run came.
        executor=dg.in_process_executor,
    )


def _jobs(settings: Settings) -> list[dg.JobDefinition | UnresolvedAssetJobDefinition]:
    return [
        jobs.ingest_job(settings),
        jobs.refresh_aggregates,
        jobs.fill_history,
        *jobs.rebuild_jobs(),
        jobs.checks_job(),
        *jobs.upkeep_jobs(),
    ]


def _schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    closing = CloseJobs(hours=jobs.HOURS_JOB, days=jobs.DAYS_JOB, checks=jobs.CHECKS_JOB)
    return [*close_schedules(settings.history_start, closing), *upkeep_schedules(jobs.UPKEEP_JOBS)]


def _kafka_offsets(settings: Settings, worker: Worker) -> dg.SensorDefinition:
    inputs = KafkaOffsets(
        worker.kafka,
        worker.postgres,
        settings.kafka_topics,
        PlanLimits(settings.lanes, settings.max_events_per_run),
        settings.progress_timeout,
        jobs.INGEST_JOB,
    )
    return kafka_offsets_sensor(inputs, settings.sensor_interval, settings.run_max_runtime)


def _dirty_buckets(settings: Settings, worker: Worker) -> dg.SensorDefinition:
    inputs = DirtyBuckets(worker.postgres, settings.freshness, 2 * settings.progress_timeout, jobs.REFRESH_JOB)
    return dirty_buckets_sensor(inputs, settings.sensor_interval)


def _aggregate_history(worker: Worker, aggregates: AggregateWriter) -> dg.SensorDefinition:
    inputs = AggregateHistory(worker.postgres, aggregates.funnel, jobs.FILL_JOB)
    return aggregate_history_sensor(inputs, timedelta(seconds=30), DEFAULT_QUEUE)


def _upkeep(settings: Settings, worker: Worker, aggregates: AggregateWriter) -> Upkeep:
    return Upkeep(
        worker.postgres,
        aggregates,
        RunHistory(jobs.NAMES, settings.run_history, settings.failed_run_history),
        LedgerHistory(
            timedelta(days=settings.ledger_days),
            timedelta(days=settings.dead_letter_days),
            timedelta(days=settings.audit_days),
        ),
        settings.retention_days,
    )


@cache
def _built() -> dg.Definitions:
    return build_defs(settings_module.load())


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of this process; made once, so that clients stay warm from run to run."""
    return _built()
