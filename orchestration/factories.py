"""Clients made from settings. Nothing is opened here; each opens itself at its first use.

What belongs here: which setting goes where. What does not: Dagster, whose import the command line need not pay for.
"""

import os
from collections.abc import Mapping, Sequence

from assets.aggregates import marks
from assets.aggregates.catalog import AGGREGATES, FILLED
from assets.aggregates.funnel_file import read
from assets.aggregates.login_audit import AuditRules
from assets.aggregates.writer import AggregateWriter
from assets.ingest import withheld
from assets.ingest.unconfigured_topics import LeftOut
from assets.ingest.worker import Failpoints, IngestLimits, Worker
from contract.contract import Contract
from contract.decoder import Decoder
from monitoring.metrics.collect.counters import KnownLabels
from monitoring.metrics.collect.health import Health
from monitoring.metrics.collect.lag import Lag
from monitoring.metrics.collect.state import State
from monitoring.metrics.collect.storage import Storage
from monitoring.metrics.collect.unread import Unread
from monitoring.metrics.database import MetricsDatabase
from monitoring.metrics.names import Group
from monitoring.metrics.publisher import MetricsPublisher
from monitoring.metrics.push import Pusher
from monitoring.metrics.reporter import Collector, MetricsReporter
from monitoring.metrics.resource import Metrics
from orchestration.settings import Settings
from resources.kafka import Kafka
from resources.postgres import Postgres
from resources.pushgateway import Pushgateway
from resources.redis import Redis


def make_kafka(settings: Settings) -> Kafka:
    """Kafka by the settings."""
    return Kafka(settings.kafka_bootstrap_servers, settings.kafka_group_id, dict(settings.kafka_options))


def make_worker(settings: Settings, contract: Contract | None = None) -> Worker:
    """The clients of an ingest worker by the settings; nothing is opened yet."""
    limits = IngestLimits(**{name: getattr(settings, name) for name in IngestLimits.__dataclass_fields__})
    known = contract or Contract()
    decoder = Decoder(known, settings.max_value_bytes, settings.max_future, settings.min_timestamp)
    worker = Worker(make_kafka(settings), Redis(settings.redis_url), Postgres(settings.postgres_url), decoder, limits)
    if settings.failpoints is not None:
        worker.failpoint = Failpoints(settings.failpoints)
    return worker


def make_aggregates(settings: Settings) -> AggregateWriter:
    """The aggregates by the settings; nothing is opened yet.

    Raises:
        FunnelError: the funnel's file cannot be used.
    """
    rules = AuditRules(**{name: getattr(settings, f"audit_{name}") for name in AuditRules.__dataclass_fields__})
    workers = settings.refresh_workers or max(1, min(len(marks.GROUPS), (os.cpu_count() or 1) // 2))
    made = AggregateWriter(Postgres(settings.postgres_url), read(settings.funnel), rules, workers)
    if settings.failpoints is not None:
        made.failpoint = Failpoints(settings.failpoints)
    return made


def make_metrics(settings: Settings, jobs: Sequence[str] = (), queues: Sequence[str] = ()) -> Metrics:
    """The metrics by the settings, off without a Pushgateway; nothing is opened yet.

    Args:
        settings: of this deployment.
        jobs: the Dagster jobs, exported as 0 before they run.
        queues: of Celery.
    """
    postgres, known = Postgres(settings.postgres_url), KnownLabels(tuple(Contract()), tuple(jobs))
    if settings.pushgateway_url is None:
        return Metrics(postgres, known, settings.lanes)
    pusher = Pusher(Pushgateway(settings.pushgateway_url.get_secret_value()))
    publisher = MetricsPublisher(MetricsDatabase(postgres), pusher, known, settings.lanes)
    kafka, claims, broker = make_kafka(settings), Redis(settings.redis_url), Redis(settings.broker_url)
    topics = settings.kafka_topics
    groups = {name: str(AGGREGATES[name].group) for name in FILLED}
    collectors: Mapping[Group, Collector] = {
        "health": Health(claims, broker, queues),
        "lag": Lag(Unread(kafka)),
        "state": State(broker, queues, jobs, groups, withheld.collector(topics, LeftOut(kafka, topics))),
        "storage": Storage({"claims": claims, "broker": broker}, settings.postgres_capacity_bytes),
    }
    interval = settings.metrics_interval.total_seconds()
    reporter = MetricsReporter(publisher, kafka, topics, collectors, interval)
    return Metrics(postgres, known, settings.lanes, pusher, reporter)
