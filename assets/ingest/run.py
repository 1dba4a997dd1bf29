"""A run: while one chunk is stored, a second thread claims the next and a third pulls and decodes the one after.

What belongs here: the loop over chunks and what ends it. What does not: Dagster (`asset`), single steps.
"""

import gc
import sys
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from logging import Logger
from typing import TypeVar

import psycopg

from assets.ingest import frame, ledger_queries, log_replacement, unreadable
from assets.ingest.alone import BATCH_BY_BATCH
from assets.ingest.dedup import CommittedOffsets, RedisAnswer, claim_ids, deduplicate
from assets.ingest.ledger import Author
from assets.ingest.model import Decoded
from assets.ingest.plan import OffsetRange
from assets.ingest.pull import LogChanged, LogOverwritten, PartitionsUnreadable, Puller, TopicReplaced
from assets.ingest.retry import RetryPolicy, commit_with_retry, read_with_retry
from assets.ingest.store import AlreadyCommitted, Prepared, Store
from assets.ingest.worker import Worker
from resources.kafka import KafkaUnavailable
from resources.postgres import Connection

T = TypeVar("T")

_MILLISECOND = timedelta(milliseconds=1)
# While a chunk is stored, the next is claimed and the one after that is decoded.
_AHEAD = 2


@dataclass
class RunResult:
    """Why a run ended, for people, and how far it got."""

    why: str = "the plan is done"
    chunks: int = 0
    positions: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])


def ingest(worker: Worker, ranges: tuple[OffsetRange, ...], author: Author, log: Logger) -> RunResult:
    """Execute a plan, then go on with what arrived meanwhile for as long as the settings say.

    Raises:
        Exception: infrastructure failed for longer than the time limit. What was committed stays committed.
    """
    ended, until = RunResult(), time.monotonic() + worker.limits.budget_seconds
    store = Store(author, worker.partitions, worker.failpoint, worker.verify_generation, worker.pending)
    try:
        with _tuned_interpreter(), closing(_decoded_ahead(worker, ranges, log)) as coming:
            for decoded, answer in coming:
                _commit(worker, store, prepare(worker, decoded, answer), until, log)
                ended.chunks += 1
                ended.positions.update({(r.topic, r.topic_partition.partition): r.end for r in decoded.chunk.ranges})
                if time.monotonic() > until:
                    ended.why = "the time of a run is over; the next run reads the rest"
                    break
    except AlreadyCommitted:
        worker.pending.count("millrace_batches_total", "already_committed")
        ended.why = "another run committed the rest of this plan"
    except TopicReplaced as error:
        worker.pending.count("millrace_batches_total", "topic_replaced")
        ended.why = f"topic {error} was re-created or deleted during the run; the next run reads what it holds now"
    except LogOverwritten as error:
        ended.why = log_replacement.replace_log(worker, error.range, author, log)
    except LogChanged as error:
        ended.why = f"{error}; the next run looks at it first"
    except Exception as error:
        worker.pending.count("millrace_batches_total", "failed")
        if isinstance(error, KafkaUnavailable):
            worker.drop_consumer()
        if isinstance(error, PartitionsUnreadable):
            _record_unreadable(worker, error, author, log)
        raise
    finally:
        worker.flush(author.lane, log)
    worker.tell_kafka(ended.positions, log)
    return ended


def _record_unreadable(worker: Worker, error: PartitionsUnreadable, author: Author, log: Logger) -> None:
    """Let the sensor, the metrics and people know, where it is these partitions and not all of Kafka."""
    try:
        worker.kafka.available(sorted({each.topic for each in error.partitions}), {})
        unreadable.record(worker.database.connection(), error.partitions, author.run_id)
    except (KafkaUnavailable, psycopg.Error) as problem:
        log.warning("unreadable partitions were not recorded: %s", type(problem).__name__)
        worker.database.close()


@contextmanager
def _tuned_interpreter() -> Generator[None]:
    """Settings of the interpreter that suit a run: a quarter faster than the defaults.

    Three threads share it; with a switch interval of 5 ms the one that waits for PostgreSQL would be late for every
    block of COPY. And a chunk is a hundred thousand objects without a cycle among them, which the garbage collector
    would look through again and again.
    """
    interval, collecting = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(0.0005)
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if collecting:
            gc.enable()


def claim(worker: Worker, decoded: Decoded) -> RedisAnswer:
    """Claim the ids of a chunk."""
    return claim_ids(worker.redis, decoded, window_ms(worker), worker.claim_key)


def window_ms(worker: Worker) -> int:
    """How long an id is remembered at least."""
    return worker.limits.dedup_window // _MILLISECOND


def read_claim_key(worker: Worker) -> None:
    """Once a run, before it claims: the claiming is another thread's, which has no connection."""
    key = read(worker, ledger_queries.claim_key)
    if key is not None:
        worker.claim_key = key


def prepare(worker: Worker, decoded: Decoded, answer: RedisAnswer) -> Prepared:
    """Decide about duplicates and build the frame, when the chunk before is committed."""
    claimed = deduplicate(decoded, answer, lambda: _committed_offsets(worker))
    began = time.monotonic()
    built = frame.build(decoded, claimed)
    return Prepared(decoded, claimed, built, frame_seconds=time.monotonic() - began)


def retry_policy(worker: Worker, until: float) -> RetryPolicy:
    """Keep trying until the run's time is over."""
    return RetryPolicy(
        max(0.0, until - time.monotonic()), evict_older_than_seconds=worker.limits.progress_timeout.total_seconds()
    )


def store_chunk(
    worker: Worker, work: Callable[[Connection, Prepared], T], prepared: Prepared, policy: RetryPolicy, log: Logger
) -> T | None:
    """Do `work` on a chunk with the worker's clients; see `commit_with_retry`."""
    return commit_with_retry(worker.database, work, prepared, policy, log, worker.partitions.forget, worker.pending)


def _committed_offsets(worker: Worker) -> CommittedOffsets:
    return read(worker, ledger_queries.read_committed)


def read(worker: Worker, ask: Callable[[Connection], T], seconds: float | None = None) -> T:
    """Ask PostgreSQL something, for as long as a run may be without progress while it does not answer.

    Raises:
        StorageFailed: it did not answer in time.
    """
    given = worker.limits.progress_timeout.total_seconds() if seconds is None else seconds
    return read_with_retry(worker.database, ask, retry_policy(worker, time.monotonic() + given))


def _commit(worker: Worker, store: Store, prepared: Prepared, until: float, log: Logger) -> None:
    if prepared.claimed.degraded:
        log.warning("deduplication is degraded: Redis does not answer, PostgreSQL alone de-duplicates")
    if store_chunk(worker, store.ingest, prepared, retry_policy(worker, until), log) is None:
        worker.pending.count("millrace_batches_total", "already_committed")


def _decoded_ahead(
    worker: Worker, ranges: tuple[OffsetRange, ...], log: Logger
) -> Generator[tuple[Decoded, RedisAnswer], None, None]:
    """Decoded and claimed chunks, the next two always in the making; at most three are in memory at a time."""
    known = log_replacement.with_retry(worker, lambda connection: ledger_queries.anchors(connection, ranges), log)
    read_claim_key(worker)
    limits = worker.limits.pull(linger=True)
    alone = partial(worker.kafka.consumer, **BATCH_BY_BATCH)
    chunks = Puller(worker.kafka, worker.consumer(), ranges, limits, known=known, alone=alone).chunks()

    def next_decoded() -> tuple[Decoded, Future[RedisAnswer]] | None:
        chunk = next(chunks, None)
        if chunk is None:
            return None
        decoded = frame.decode(worker.decoder, chunk)
        return decoded, claiming.submit(claim, worker, decoded)

    # Pools of one, so that the consumer and the Redis client are each used by one thread only, in order. Leaving the
    # pools waits for what is under way.
    with ThreadPoolExecutor(1, "claim") as claiming, ThreadPoolExecutor(1, "pull") as pulling:
        ahead = deque(pulling.submit(next_decoded) for _ in range(_AHEAD))
        try:
            while (ready := ahead.popleft().result()) is not None:
                ahead.append(pulling.submit(next_decoded))
                decoded, answer = ready
                yield decoded, answer.result()
        finally:
            for waiting in ahead:
                waiting.cancel()
            pulling.submit(chunks.close).result()
