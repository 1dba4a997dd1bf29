"""A replay: the offsets of an earlier run, pulled and decoded again with today's code. Moves no offset.

What belongs here: which batches are replayed, and the loop over them. What does not: the transaction (`replay_store`).
It adds what is missing, resolves dead letters that are valid now, takes back nothing that was accepted, and records
signed differences in the ledger.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from logging import Logger

from assets.ingest import ledger_queries, reprocess
from assets.ingest.frame import decode
from assets.ingest.ledger import Author
from assets.ingest.model import Chunk, Counts
from assets.ingest.plan import OffsetRange
from assets.ingest.pull import Puller, PullLimits
from assets.ingest.replay_store import RangesFolded, ReplayStore
from assets.ingest.run import read, retry_policy, store_chunk
from assets.ingest.store import Store
from assets.ingest.worker import Worker
from resources.kafka import current_logs

_UNBOUNDED = 1 << 40  # a batch was one transaction, and is one again


@dataclass
class Replayed:
    """What a replay did: batches, differences to what the ledger said, and what it left alone.

    That is what it could not read any more, and what the ledger knows as a sum only.
    """

    batches: int = 0
    difference: Counts = field(default_factory=Counts)
    gone: list[OffsetRange] = field(default_factory=list[OffsetRange])
    closed: list[OffsetRange] = field(default_factory=list[OffsetRange])


def replay(
    worker: Worker, runs: Collection[str], ranges: tuple[OffsetRange, ...], author: Author, log: Logger
) -> Replayed:
    """Replay every batch that the earlier runs committed, or that lies in the ranges of their plan."""
    done = Replayed(closed=read(worker, lambda connection: ledger_queries.folded_ranges(connection, ranges)))
    store = ReplayStore(Store(author, worker.partitions, worker.failpoint, worker.verify_generation, worker.pending))
    try:
        for batch in read(worker, lambda connection: ledger_queries.batches_of(connection, runs, ranges)):
            _replay(worker, store, batch, done, log)
    finally:
        worker.flush(author.lane, log)
    return done


def _replay(worker: Worker, store: ReplayStore, batch: tuple[OffsetRange, ...], done: Replayed, log: Logger) -> None:
    readable = _readable(worker, batch, done)
    if not readable:
        return
    chunk = _pull(worker, readable)
    if chunk.gaps:  # expired between the question and the pull
        done.gone.extend(readable)
        return
    decoded = decode(worker.decoder, chunk)
    prepared = reprocess.prepare(worker, decoded)
    until = time.monotonic() + worker.limits.budget_seconds
    try:
        found = store_chunk(worker, store.replay, prepared, retry_policy(worker, until), log)
    except RangesFolded:  # between the question and the transaction
        done.closed.extend(readable)
        return
    done.batches += 1
    if found is not None:
        done.difference += found.counts
        reprocess.claim(worker, decoded, found.stored)


def uncommitted(worker: Worker, ranges: tuple[OffsetRange, ...]) -> tuple[OffsetRange, ...]:
    """What no run has committed yet of the ranges: a re-execution of a failed run finishes its plan."""
    now = read(worker, ledger_queries.committed_offsets)
    rest = [r._replace(start=max(r.start, now.get(r.topic_partition, r.start))) for r in ranges]
    return tuple(r for r in rest if r.end > r.start and now.get(r.topic_partition, r.start) == r.start)


def _readable(worker: Worker, batch: tuple[OffsetRange, ...], done: Replayed) -> tuple[OffsetRange, ...]:
    """The ranges of a batch that Kafka still holds whole."""
    known = read(worker, ledger_queries.committed_offsets)
    available = current_logs(worker.kafka.available(sorted({r.topic for r in batch})), known)
    held = {(a.topic_id, a.partition): a.low for a in available}
    readable = tuple(r for r in batch if held.get(r.topic_partition, r.end) <= r.start)
    done.gone.extend(r for r in batch if r not in readable)
    return readable


def _pull(worker: Worker, ranges: tuple[OffsetRange, ...]) -> Chunk:
    limits = PullLimits(_UNBOUNDED, _UNBOUNDED, worker.limits.progress_timeout.total_seconds())
    puller = Puller(worker.kafka, worker.consumer(), ranges, limits)
    chunks = list(puller.chunks())
    if len(chunks) != 1 or chunks[0].ranges != ranges:
        # The differences are recorded against exactly these ranges of the ledger; any other would be counted twice.
        raise RuntimeError("a replay must cover its batch exactly; this is a bug in Millrace, nothing was stored")
    return chunks[0]
