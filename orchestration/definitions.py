"""The code location: assets, jobs, sensors and resources put together from the settings.

What belongs here: `build_defs`, by which production, tests and the demo differ in an argument. What does not: assets,
sensors and jobs themselves. Dagster loads `defs`; the environment is read then and not when this module is imported.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import cache

import dagster as dg
import psycopg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._utils.env import using_dagster_dev

from assets.aggregates.assets import DAILY, HOURLY, aggregate_assets
from assets.aggregates.partition_status import PartitionStatus
from assets.aggregates.refresh_op import QUEUE as REFRESH_QUEUE
from assets.aggregates.view_specs import view_specs
from assets.aggregates.writer import AggregateWriter
from assets.ingest.asset import QUEUE as INGEST_QUEUE
from assets.ingest.asset import ingest_asset, topic_specs
from assets.ingest.plan import PlanLimits
from assets.ingest.worker import Worker
from assets.periods import floor_hour
from assets.quality.checks import table_checks
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
from orchestration.hand_jobs import hand_jobs
from orchestration.settings import Settings
from resources.postgres import WarmConnection
from sensors.aggregate_history import AggregateHistory, aggregate_history_sensor
from sensors.close_schedules import CloseJobs, close_schedules
from sensors.dirty_buckets import DirtyBuckets, dirty_buckets_sensor
from sensors.kafka_offsets import KafkaOffsets, Looks, kafka_offsets_sensor
from sensors.metrics import metrics_sensor
from sensors.run_failures import RunFailures, run_failures_sensor
from sensors.upkeep_schedules import upkeep_schedules

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
# Shorter than whoever stops a daemon or a code server waits for: neither ends before its ticks did.
HELD = timedelta(seconds=4)
# A document that a description names, and an alert of the runbook behind it.
_DOCUMENT = re.compile(r"docs/([\w-]+\.md)(?:(?:, | \()(Millrace\w+)\)?)?")


def build_defs(
    settings: Settings,
    worker: Worker | None = None,
    aggregates: AggregateWriter | None = None,
    metrics: Metrics | None = None,
    first_hour: datetime | None = None,
    held: timedelta = timedelta(0),
) -> dg.Definitions:
    """Everything Dagster needs to know.

    Args:
        settings: of this deployment.
        worker: instead of the one by the settings, for tests.
        aggregates: likewise.
        metrics: likewise.
        first_hour: where partitions begin, where they are shown and chosen. None where runs are executed: then any hour
            may be rebuilt.
        held: how long a tick that finds nothing to do is held open and looks again.
    """
    worker = worker or make_worker(settings)
    aggregates = aggregates or make_aggregates(settings)
    metrics = metrics or make_metrics(settings, jobs.NAMES, (INGEST_QUEUE, REFRESH_QUEUE, DEFAULT_QUEUE))
    start = first_hour or ALWAYS
    partitions = PartitionStatus(settings.history_start, HOURLY, DAILY)
    looks = Looks(settings.sensor_interval, held)
    return dg.Definitions(
        assets=_assets(settings, start),
        asset_checks=[table_checks(settings.freshness)],
        jobs=_jobs(settings),
        sensors=[
            _kafka_offsets(settings, worker, looks),
            _dirty_buckets(settings, worker, looks),
            _aggregate_history(worker, aggregates),
            run_failures_sensor(RunFailures(worker.postgres)),
            metrics_sensor(metrics, settings.metrics_interval),
        ],
        schedules=_schedules(start),
        resources=resources(settings, worker, aggregates, partitions, metrics, _upkeep(settings, worker, aggregates)),
        # A run is one process: it was warm before the run came.
        executor=dg.in_process_executor,
    )


def _assets(settings: Settings, start: datetime) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    owners = settings.asset_owners
    found = [
        *topic_specs(settings.kafka_topics),
        ingest_asset(settings.kafka_topics, owners),
        *aggregate_assets(start, owners),
        *view_specs(Contract(), owners),
        *upkeep_assets(owners),
    ]
    return list(
        dg.map_asset_specs(
            lambda spec: spec.replace_attributes(description=with_links(spec.description or "", settings.docs_url)),
            found,
        )
    )


def with_links(text: str, docs_url: str | None) -> str:
    """The text, in which each document that it names is a link where it is known where documents are read."""
    if not docs_url:
        return text

    def link(found: re.Match[str]) -> str:
        name, alert = found.groups()
        return f"[{found[0]}]({docs_url}{name}{f'#{alert.lower()}' if alert else ''})"

    return _DOCUMENT.sub(link, text)


def _jobs(settings: Settings) -> list[dg.JobDefinition | UnresolvedAssetJobDefinition]:
    return [
        jobs.ingest_job(settings),
        jobs.refresh_aggregates,
        jobs.fill_history,
        *jobs.rebuild_jobs(),
        jobs.checks_job(),
        *jobs.upkeep_jobs(),
        *hand_jobs(settings.kafka_topics, lambda text: with_links(text, settings.docs_url)),
    ]


def _schedules(start: datetime) -> list[dg.ScheduleDefinition]:
    closing = CloseJobs(hours=jobs.HOURS_JOB, days=jobs.DAYS_JOB, checks=jobs.CHECKS_JOB)
    return [*close_schedules(start, closing), *upkeep_schedules(jobs.UPKEEP_JOBS)]


def _kafka_offsets(settings: Settings, worker: Worker, looks: Looks) -> dg.SensorDefinition:
    inputs = KafkaOffsets(
        worker.kafka,
        worker.postgres,
        settings.kafka_topics,
        PlanLimits(settings.lanes, settings.max_events_per_run),
        settings.progress_timeout,
        jobs.INGEST_JOB,
    )
    return kafka_offsets_sensor(inputs, looks, settings.run_max_runtime)


def _dirty_buckets(settings: Settings, worker: Worker, looks: Looks) -> dg.SensorDefinition:
    inputs = DirtyBuckets(worker.postgres, settings.freshness, 2 * settings.progress_timeout, jobs.REFRESH_JOB)
    return dirty_buckets_sensor(inputs, looks)


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
def _clients() -> tuple[Settings, Worker, AggregateWriter, Metrics]:
    """Those of this process; made once, so that they stay warm from run to run."""
    settings = settings_module.load()
    metrics = make_metrics(settings, jobs.NAMES, (INGEST_QUEUE, REFRESH_QUEUE, DEFAULT_QUEUE))
    return settings, make_worker(settings), make_aggregates(settings), metrics


def served(first_hour: datetime | None) -> dg.Definitions:
    """The definitions with partitions from this hour on, on the clients of this process."""
    return build_defs(*_clients(), first_hour=first_hour, held=HELD)


def first_hour(now: datetime) -> datetime:
    """The hour that partitions begin with: of the first event, the current one where there is none.

    Raises:
        psycopg.Error: PostgreSQL cannot be asked.
    """
    status = PartitionStatus(_clients()[0].history_start, HOURLY, DAILY)
    return _partitions().read(lambda connection: status.first_hour(connection, now)) or floor_hour(now)


@cache
def _partitions() -> WarmConnection:
    """Kept, as it is asked every few seconds; by one thread at a time."""
    return WarmConnection(_clients()[1].postgres, "millrace-partitions", statement_timeout_seconds=5)


def close() -> None:
    """End the thread that pushes metrics, which the next tick of the sensor starts again, and a kept connection."""
    _clients()[3].close()
    _partitions().close()


@cache
def _built() -> dg.Definitions:
    # `dagster dev` shows what it loads here; a code server of ours shows what it builds with `served`.
    return served(_first_hour_or_now() if using_dagster_dev() else None)


def _first_hour_or_now() -> datetime:
    now = datetime.now(UTC)
    try:
        return first_hour(now)
    except psycopg.Error:
        return floor_hour(now)


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of this process; made once."""
    return _built()
