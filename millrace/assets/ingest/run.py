"""A run: one thread pulls, decodes and claims a chunk while the other stores the one before.

What belongs here: the loop over chunks and what ends it. What does not: Dagster (`asset`), single steps.
"""

import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from logging import Logger

from millrace.assets.ingest import books, frame
from millrace.assets.ingest.attempt import Patience, until_committed
from millrace.assets.ingest.claim import Asked, Books, ask, decide
from millrace.assets.ingest.decode import decode
from millrace.assets.ingest.ledger import Author
from millrace.assets.ingest.model import Decoded
from millrace.assets.ingest.plan import Range
from millrace.assets.ingest.pull import Puller
from millrace.assets.ingest.store import AlreadyCommitted, Prepared, Store
from millrace.assets.ingest.worker import TopicReplaced, Worker
from millrace.resources.kafka import KafkaUnavailable

_MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Ended:
    """Why a run ended, for people, and how far it got."""

    why: str = "the plan is done"
    chunks: int = 0
    positions: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])


def ingest(worker: Worker, ranges: tuple[Range, ...], author: Author, log: Logger) -> Ended:
    """Execute a plan, then go on with what arrived meanwhile for as long as the settings say.

    Raises:
        Exception: infrastructure failed for longer than patience lasts. What was committed stays committed.
    """
    # Two threads share the interpreter; with the default of 5 ms the one that waits for PostgreSQL would be late for
    # every block of COPY.
    sys.setswitchinterval(0.0005)
    ended, until = Ended(), time.monotonic() + worker.limits.budget_seconds
    store = Store(author, worker.partitions, worker.reached, worker.verify_generation)
    try:
        with closing(_decoded_ahead(worker, ranges)) as coming:
            for decoded, asked in coming:
                _commit(worker, store, prepare(worker, decoded, asked), until, log)
                ended.chunks += 1
                ended.positions.update({(r.topic, r.place.partition): r.end for r in decoded.chunk.ranges})
                if time.monotonic() > until:
                    ended.why = "the time of a run is over; the rest is planned anew"
                    break
    except AlreadyCommitted:
        ended.why = "another run committed the rest of this plan"
    except TopicReplaced as error:
        ended.why = f"topic {error} was re-created or deleted meanwhile; what it holds now is planned anew"
    except KafkaUnavailable:
        worker.drop_consumer()
        raise
    worker.tell_kafka(ended.positions, log)
    return ended


def claim(worker: Worker, decoded: Decoded) -> Asked:
    """Claim the ids of a chunk."""
    return ask(worker.redis, decoded, worker.limits.dedup_window // _MILLISECOND)


def prepare(worker: Worker, decoded: Decoded, asked: Asked) -> Prepared:
    """Decide about duplicates and build the frame, when the chunk before is committed."""
    claimed = decide(decoded, asked, lambda: _books(worker))
    began = time.monotonic()
    built = frame.build(decoded, claimed)
    return Prepared(decoded, claimed, built, frame_seconds=time.monotonic() - began)


def patience(worker: Worker, until: float) -> Patience:
    """Keep trying until the run's time is over."""
    return Patience(
        max(0.0, until - time.monotonic()), evict_older_than_seconds=worker.limits.progress_timeout.total_seconds()
    )


def _books(worker: Worker) -> Books:
    return books.read(worker.database.connection())


def _commit(worker: Worker, store: Store, prepared: Prepared, until: float, log: Logger) -> None:
    if prepared.claimed.degraded:
        log.warning("dedup degraded: Redis does not answer, PostgreSQL alone de-duplicates")
    until_committed(worker.database, store.ingest, prepared, patience(worker, until), log, worker.partitions.forget)


def _decoded_ahead(worker: Worker, ranges: tuple[Range, ...]) -> Generator[tuple[Decoded, Asked], None, None]:
    """Decoded and claimed chunks, the next one always in the making; at most two are in memory at a time."""
    puller = Puller(worker.kafka, worker.consumer(), ranges, worker.limits.pull(linger=True))
    chunks = puller.chunks()

    def next_decoded() -> tuple[Decoded, Asked] | None:
        chunk = next(chunks, None)
        if chunk is None:
            return None
        decoded = decode(worker.decoder, chunk)
        return decoded, claim(worker, decoded)

    # A pool of one, so that the consumer is never used by two threads at once; leaving it waits for the last pull.
    with ThreadPoolExecutor(1, thread_name_prefix="pull") as pool:
        try:
            coming = pool.submit(next_decoded)
            while (ready := coming.result()) is not None:
                coming = pool.submit(next_decoded)
                yield ready
        finally:
            pool.submit(chunks.close).result()
