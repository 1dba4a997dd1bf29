"""The clients as Dagster's resources: the page Resources of the UI shows where they lead and by which limits.

What belongs here: what is shown of each. What does not: making the clients (`factories`). No URL is shown, since one
may carry a password: only hosts and names. A run is handed the client of its process, which stays warm from run to run;
nothing is made or closed for a run. The settings decide: the launchpad copies what is shown into a run's config, and a
re-execution has it still when a setting has changed since.
"""

from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

import dagster as dg
from psycopg.conninfo import conninfo_to_dict

from assets.aggregates.partition_status import PartitionStatus
from assets.aggregates.writer import AggregateWriter
from assets.ingest.worker import Worker
from assets.upkeep.assets import Upkeep
from monitoring.metrics.resource import Metrics
from orchestration.settings import Settings


class WarmResource(dg.ConfigurableResource[Any]):
    """What is shown of an object that exists already, and the object."""

    held: ClassVar[Any] = None
    shown: ClassVar[dict[str, Any]] = {}

    @classmethod
    def holding(cls, held: object, **shown: Any) -> Self:
        """The resource that hands out this object. A class of its own: Dagster copies a resource by its fields alone.

        Args:
            held: what ops are given.
            shown: the fields.
        """
        made = type(cls)(cls.__name__, (cls,), {"__module__": cls.__module__, "__doc__": cls.__doc__})
        made.held, made.shown = held, shown
        return made(**shown)

    def create_resource(self, context: dg.InitResourceContext) -> Any:
        """The object itself. A run config that says something else than the settings is ignored, with a warning."""
        changed = sorted(name for name, value in self.shown.items() if getattr(self, name) != value)
        if changed and context.log:
            context.log.warning("the settings decide, the run's config is ignored: %s", ", ".join(changed))
        return self.held


class PostgresResource(WarmResource):
    """Connections to PostgreSQL, each with its time-outs. By MILLRACE_POSTGRES_URL."""

    host: str
    database: str


class WorkerResource(WarmResource):
    """The clients of an ingest worker: one consumer, one connection, one Redis client, one decoder."""

    kafka: str
    topics: list[str]
    consumer_group: str
    redis: str
    postgres: str
    lanes: int
    chunk_events: int
    chunk_bytes: int
    max_events_per_run: int
    dedup_window_seconds: float
    progress_timeout_seconds: float


class AggregatesResource(WarmResource):
    """The one writer of the aggregates."""

    postgres: str
    freshness_seconds: float
    funnel_steps: list[str]


class PartitionsResource(WarmResource):
    """Which partitions of the hourly and daily tables Dagster knows."""

    first_day: str


class MetricsResource(WarmResource):
    """Pushes totals and states; can neither fail a run nor hold it up. Off without MILLRACE_PUSHGATEWAY_URL."""

    pushgateway: str
    interval_seconds: float


class UpkeepResource(WarmResource):
    """For how long what is kept. Raw events are kept for ever with 0 days."""

    retention_days: int
    ledger_days: int
    dead_letter_days: int
    audit_days: int
    run_history_seconds: float
    failed_run_history_seconds: float


def resources(
    settings: Settings,
    worker: Worker,
    aggregates: AggregateWriter,
    partitions: PartitionStatus,
    metrics: Metrics,
    upkeep: Upkeep,
) -> dict[str, WarmResource]:
    """All of them, by the names under which ops ask for them."""
    host, database = _database(settings.postgres_url)
    where = f"{host}/{database}"
    return {
        "worker": _worker(settings, worker, where),
        "aggregates": AggregatesResource.holding(
            aggregates,
            postgres=where,
            freshness_seconds=settings.freshness.total_seconds(),
            funnel_steps=[step.name for step in aggregates.funnel.steps],
        ),
        "metrics": MetricsResource.holding(
            metrics,
            pushgateway=_host(settings.pushgateway_url.get_secret_value()) if settings.pushgateway_url else "off",
            interval_seconds=settings.metrics_interval.total_seconds(),
        ),
        "partitions": PartitionsResource.holding(
            partitions, first_day=str(partitions.configured or "that of the first event")
        ),
        "postgres": PostgresResource.holding(worker.postgres, host=host, database=database),
        "upkeep": _upkeep(settings, upkeep),
    }


def _worker(settings: Settings, worker: Worker, where: str) -> WorkerResource:
    return WorkerResource.holding(
        worker,
        kafka=settings.kafka_bootstrap_servers,
        topics=list(settings.kafka_topics),
        consumer_group=settings.kafka_group_id,
        redis=_host(settings.redis_url),
        postgres=where,
        lanes=settings.lanes,
        chunk_events=settings.chunk_events,
        chunk_bytes=settings.chunk_bytes,
        max_events_per_run=settings.max_events_per_run,
        dedup_window_seconds=settings.dedup_window.total_seconds(),
        progress_timeout_seconds=settings.progress_timeout.total_seconds(),
    )


def _upkeep(settings: Settings, upkeep: Upkeep) -> UpkeepResource:
    return UpkeepResource.holding(
        upkeep,
        retention_days=settings.retention_days,
        ledger_days=settings.ledger_days,
        dead_letter_days=settings.dead_letter_days,
        audit_days=settings.audit_days,
        run_history_seconds=settings.run_history.total_seconds(),
        failed_run_history_seconds=settings.failed_run_history.total_seconds(),
    )


def _database(url: str) -> tuple[str, str]:
    """Hosts and database; no user, password or other parameter."""
    given = conninfo_to_dict(url)
    hosts = str(given.get("host") or given.get("hostaddr") or "by the environment")
    ports = f":{given['port']}" if given.get("port") else ""
    return f"{hosts}{ports}", str(given.get("dbname") or "by the environment")


def _host(url: str) -> str:
    """Host and port of a URL; nothing before the @ and nothing behind the first slash."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
