"""A world for one test: a database and a topic of its own, a producer, a worker, and questions to ask afterwards.

What belongs here: what many tests of the ingest need. What does not: assertions.
"""

import json
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Producer
from psycopg import sql

from assets.aggregates.writer import AggregateWriter, Refreshed
from assets.ingest import ledger_queries
from assets.ingest.ledger import Author
from assets.ingest.plan import OffsetRange, PlanLimits, plan
from assets.ingest.run import RunResult, ingest
from assets.ingest.worker import Failpoints, Worker
from assets.quality.reconcile import PartitionResult, reconcile
from infra.local.harness import Running
from infra.postgres.analyst_role import Analysts, give_access
from infra.postgres.migrate import migrate
from orchestration.factories import make_aggregates, make_worker
from orchestration.settings import Settings, load

LOG = logging.getLogger("test")


def event(event_id: str | None = None, *, kind: str = "page_view", **changes: Any) -> dict[str, Any]:
    """A valid event as a JSON value."""
    payload = {"userId": "u1", "page": "/home", "referrer": "", "device": "Chrome on macOS"}
    made = {
        "eventId": event_id or str(uuid.uuid4()),
        "type": kind,
        "timestamp": datetime.now(UTC).isoformat(),
        "payload": payload,
    }
    return {**made, **changes}


def encoded(*events: dict[str, Any]) -> list[bytes]:
    """Events as Kafka values."""
    return [json.dumps(e).encode() for e in events]


@dataclass
class World:
    """One test's own corner of the services."""

    services: Running
    settings: Settings
    topic: str
    failpoints: Path
    worker: Worker = field(init=False)
    aggregates: AggregateWriter = field(init=False)
    runs: int = 0

    def __post_init__(self) -> None:
        """A worker as a worker process would have one."""
        self.worker = self.another_worker()
        self.aggregates = make_aggregates(self.settings)
        self.aggregates.failpoint = Failpoints(self.failpoints)

    def another_worker(self, **changes: Any) -> Worker:
        """A worker that shares nothing with the others but the services; `changes` to the settings."""
        worker = make_worker(self.settings.model_copy(update=changes))
        worker.failpoint = Failpoints(self.failpoints)
        return worker

    def produce(self, values: Iterable[bytes | None], partition: int = 0, **more: Any) -> list[int]:
        """Write records and return their offsets; `more` goes to `Producer.produce` (key, headers)."""
        options = more.pop("options", {})
        offsets: list[int] = []
        producer = Producer(
            {
                "bootstrap.servers": self.settings.kafka_bootstrap_servers,
                "message.max.bytes": 9_000_000,
                "linger.ms": 5,
                **options,
            }
        )
        for value in values:
            while True:
                try:
                    producer.produce(
                        self.topic,
                        value,
                        partition=partition,
                        on_delivery=lambda error, m: offsets.append(-1 if error else int(m.offset() or 0)),
                        **more,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        producer.flush(30)
        return offsets

    def plans(self, lanes: int = 1, most: int = 10**9) -> list[tuple[OffsetRange, ...]]:
        """What the sensor would hand out now."""
        available = self.worker.kafka.available([self.topic])
        with self.worker.postgres.connect("test") as connection:
            done = ledger_queries.committed_offsets(connection)
        return [p.ranges for p in plan(done, available, set(), PlanLimits(lanes, most))]

    def ingest(
        self, worker: Worker | None = None, ranges: tuple[OffsetRange, ...] | None = None, lane: int = 0
    ) -> RunResult:
        """One run, as the job would execute it."""
        worker = worker or self.worker
        if ranges is None:
            plans = self.plans()
            ranges = plans[0] if plans else ()
        return ingest(worker, ranges, self.author(lane=lane), LOG)

    def refresh(self) -> Refreshed:
        """Take everything into the aggregates that they do not hold yet."""
        return self.aggregates.refresh()

    def run_elsewhere(self, ranges: tuple[OffsetRange, ...] | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start a run in a process of its own."""
        chosen = self.plans()[0] if ranges is None else ranges
        listed = json.dumps(
            [(r.topic, str(r.topic_partition.topic_id), r.topic_partition.partition, r.start, r.end) for r in chosen]
        )
        own = {
            **self.services.environment,
            "MILLRACE_POSTGRES_URL": self.settings.postgres_url,
            "MILLRACE_KAFKA_TOPICS": self.topic,
            "MILLRACE_RUN_LINGER": "0",
            "MILLRACE_FAILPOINTS": str(self.failpoints),
            **environment,
        }
        self.runs += 1
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.run_once", f"process-{self.runs}", listed],
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def author(self, kind: str = "ingest", lane: int = 0) -> Author:
        """The author of a new run."""
        self.runs += 1
        return Author(f"run-{self.runs}", lane, kind)

    def query(self, text: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with psycopg.connect(self.settings.postgres_url, autocommit=True) as connection:
            cursor = connection.execute(text.encode(), arguments)
            return cursor.fetchall() if cursor.description else []

    def one(self, text: str, *arguments: Any) -> Any:
        """The only value of a query."""
        [[value]] = self.query(text, *arguments)
        return value

    def dead_letters(self) -> list[tuple[int, str]]:
        """Offset and code of every open dead letter."""
        return [
            (offset, code)
            for offset, code in self.query(
                "select kafka_offset, code from raw.dead_letters where status = 'open' order by partition, kafka_offset"
            )
        ]

    def totals(self) -> dict[str, int]:
        """The sums of the ledger; erased and expired only where there are any."""
        [row] = self.query(
            "select coalesce(sum(records), 0)::int, coalesce(sum(stored), 0)::int,"
            " coalesce(sum(duplicates_redis + duplicates_postgres), 0)::int, coalesce(sum(dead_letters), 0)::int,"
            " coalesce(sum(tombstones), 0)::int, coalesce(sum(erased), 0)::int, coalesce(sum(expired), 0)::int"
            " from ops.batches"
        )
        names = ("records", "stored", "duplicates", "dead_letters", "tombstones", "erased", "expired")
        return {name: n for name, n in zip(names, row, strict=True) if n or name not in ("erased", "expired")}

    def reconcile(self) -> list[PartitionResult]:
        """What `millrace reconcile` finds."""
        return reconcile(self.worker.kafka, self.worker.postgres, self.worker.decoder, (self.topic,))

    def set_failpoint(self, name: str) -> None:
        """The next process to reach it is killed, stopped or fails."""
        (self.failpoints / name).touch()


def out_of_balance(verdicts: Sequence[PartitionResult]) -> list[PartitionResult]:
    """What is wrong; empty is good."""
    return [v for v in verdicts if not v.balanced or v.pending]


@cache
def _template(owner: str) -> str:
    """A migrated database to copy, a third of the time of making one."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    migrate(owner.rsplit("/", 1)[0] + "/" + name)
    return name


@contextmanager
def fresh_world(services: Running, directory: Path, partitions: int = 1, **changes: str) -> Generator[World]:
    """Make a database and a topic; both are dropped afterwards."""
    name = f"t{uuid.uuid4().hex[:12]}"
    owner = services.environment["MILLRACE_POSTGRES_URL"]
    template = _template(owner)
    with psycopg.connect(owner, autocommit=True) as connection:
        copy = sql.SQL("create database {} template {} strategy file_copy")  # without WAL: a third of the work
        connection.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
    url = owner.rsplit("/", 1)[0] + "/" + name
    environment = {
        **services.environment,
        "MILLRACE_POSTGRES_URL": url,
        "MILLRACE_KAFKA_TOPICS": name,
        "MILLRACE_RUN_LINGER": "0",
        **changes,
    }
    failpoints = directory / "failpoints"
    failpoints.mkdir()
    with psycopg.connect(url, autocommit=True) as connection:
        give_access(connection, Analysts())  # rights on a database are not copied with it
    world = World(services, load(environment), name, failpoints)
    world.worker.kafka.create_topic(name, partitions)
    try:
        yield world
    finally:
        world.worker.close()
        world.aggregates.close()
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
