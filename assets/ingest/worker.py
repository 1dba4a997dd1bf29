"""What a worker process keeps warm from run to run: one consumer, one connection, one Redis client, one decoder.

What belongs here: the making and keeping of clients for ingest runs. What does not: what a run does with them (`run`).
Nothing is opened before its first use, so that a process may be forked with a Worker in it.
"""

import os
import secrets
import signal
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from logging import Logger
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from assets.ingest.model import Chunk
from assets.ingest.partitions import Partitions
from assets.ingest.pull import PullLimits, verify_generation
from assets.ingest.retry import StoreConnection
from assets.ingest.store import Step
from contract.decoder import Decoder
from monitoring.metrics.totals import Totals
from resources.kafka import Kafka, close
from resources.postgres import Postgres, commit
from resources.redis import Redis

_FLUSH_LOCK_TIMEOUT = "2s"
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(frozen=True)
class IngestLimits:
    """The settings of ingest runs."""

    chunk_events: int = 20_000
    chunk_bytes: int = 32 * 1024 * 1024
    max_events_per_run: int = 500_000
    dedup_window: timedelta = timedelta(hours=1)
    run_linger: timedelta = timedelta(seconds=5)
    run_max_runtime: timedelta = timedelta(seconds=120)
    progress_timeout: timedelta = timedelta(seconds=30)

    @property
    def budget_seconds(self) -> float:
        """After this a run stops at the next chunk, long before Dagster ends it."""
        return self.run_max_runtime.total_seconds() / 2

    def pull(self, *, linger: bool) -> PullLimits:
        """The bounds of a pull."""
        return PullLimits(
            self.chunk_events,
            self.chunk_bytes,
            # Half of what the sensor waits for progress: a run that waits in vain is never taken for a lost one.
            stall_seconds=self.progress_timeout.total_seconds() / 2,
            chunk_seconds=1.0,
            linger_seconds=self.run_linger.total_seconds() if linger else 0.0,
            linger_events=self.max_events_per_run,
        )


@dataclass
class Worker:
    """The clients of one process, and the settings of the runs that it executes."""

    kafka: Kafka
    redis: Redis
    postgres: Postgres
    decoder: Decoder
    limits: IngestLimits = field(default_factory=IngestLimits)
    failpoint: Step = field(default=lambda _: None, repr=False)
    partitions: Partitions = field(default_factory=Partitions, repr=False)
    pending: Totals = field(default_factory=Totals, repr=False)
    """What is to be counted and no transaction of its own did: the next one that commits does, or `flush`."""
    claim_key: bytes = field(default_factory=partial(secrets.token_bytes, 32), repr=False)
    """Of the claims in Redis: the database's, as the last run read it; before that one by which no claim is a proof."""
    _consumer: "tuple[int, Consumer] | None" = field(default=None, repr=False)
    _database: StoreConnection | None = field(default=None, repr=False)

    @property
    def database(self) -> StoreConnection:
        """The warm connection."""
        if self._database is None:
            self._database = StoreConnection(self.postgres)
        return self._database

    def consumer(self) -> Consumer:
        """The warm consumer; a forked child gets its own, librdkafka's threads do not survive a fork."""
        if self._consumer is None or self._consumer[0] != os.getpid():
            self._consumer = (os.getpid(), self.kafka.consumer())
        return self._consumer[1]

    def drop_consumer(self) -> None:
        """After trouble with Kafka: the next run starts with a new one."""
        kept, self._consumer = self._consumer, None
        if kept is not None and kept[0] == os.getpid():
            close(kept[1])

    def verify_generation(self, chunk: Chunk) -> None:
        """Make sure that the chunk was read from the topics that were planned; raises as `pull.verify_generation`."""
        verify_generation(self.kafka, tuple(r for r in chunk.ranges if r.start != r.end))

    def tell_kafka(self, positions: dict[tuple[str, int], int], log: Logger) -> None:
        """Commit consumer-group offsets as a courtesy to lag tools; they decide nothing and may fail."""
        offsets = [TopicPartition(topic, partition, at) for (topic, partition), at in positions.items()]
        try:
            if offsets:
                self.consumer().commit(offsets=offsets, asynchronous=True)
        except Exception as error:  # noqa: BLE001 - a courtesy must not fail a run
            log.debug("consumer-group offsets were not committed: %s", type(error).__name__)

    def flush(self, lane: int, log: Logger) -> None:
        """Count what waits for it now; if PostgreSQL does not answer it waits on. Never raises."""
        if not self.pending:
            return
        try:
            connection = self.database.connection()
            connection.execute("begin")
            connection.execute("select set_config('lock_timeout', %s, true)", (_FLUSH_LOCK_TIMEOUT,))
            self.pending.write(connection, lane)
            self.pending.clear()  # before COMMIT: should its answer be lost, it counts at most once
            commit(connection)
        except Exception as error:  # noqa: BLE001 - a metric must not fail a run
            log.debug("what waits to be counted waits on: %s", type(error).__name__)
            self.database.failed(error)

    def close(self) -> None:
        """Close every client."""
        self.drop_consumer()
        self.redis.close()
        self.database.close()


class InjectedFailure(Exception):
    """A failpoint was set to fail."""


class Failpoints:
    """Named points at which tests stop or kill the process; off unless `MILLRACE_FAILPOINTS` names a directory.

    A file `<point>.kill`, `<point>.stop` (SIGSTOP) or `<point>.fail` in that directory acts once, on whoever comes
    first. `store` names the points where they are passed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, point: str) -> None:
        """Act if the point is set."""
        for action in ("kill", "stop", "fail"):
            try:
                (self._directory / f"{point}.{action}").unlink()
            except FileNotFoundError:
                continue
            if action == "fail":
                raise InjectedFailure(point)
            os.kill(os.getpid(), _SIGNALS[action])
