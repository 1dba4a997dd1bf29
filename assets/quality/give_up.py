"""Gives up a range that Kafka does not hand out: a gap `unreadable`, and ingest goes on behind it.

What belongs here: finding where a partition can be read again, and the transaction. What does not: deciding to do it,
which is an operator's; printing (`orchestration.cli.gaps`).
"""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition

from assets import audit
from assets.audit import AuditedCall
from assets.ingest import ledger_queries
from assets.ingest.alone import BATCH_BY_BATCH
from assets.ingest.frame import decode
from assets.ingest.ledger import Author
from assets.ingest.model import Chunk, Gap
from assets.ingest.plan import OffsetRange, TopicIdPartition
from assets.ingest.run import claim, prepare, retry_policy, store_chunk
from assets.ingest.store import Prepared, Store
from assets.ingest.worker import Worker
from resources.kafka import close, current_logs
from resources.postgres import Connection

_LOG = logging.getLogger(f"millrace.{__name__}")
_PROBE_SECONDS = 10.0
_SECONDS = 60.0


class CannotGiveUp(Exception):
    """The range cannot be given up; the text says why, and what to do."""


class StuckPartition(NamedTuple):
    """Where a partition stands: the next offset to read, and its end."""

    topic: str
    topic_partition: TopicIdPartition
    committed: int
    end: int


def where(worker: Worker, topic: str, partition: int) -> StuckPartition:
    """Where a partition stands now.

    Raises:
        CannotGiveUp: Kafka has no such partition.
        KafkaUnavailable, psycopg.Error: it is not known.
    """
    troubles: dict[str, str] = {}
    known = ledger_queries.committed_offsets(worker.database.connection())
    available = current_logs(worker.kafka.available([topic], troubles), known)
    found = [a for a in available if a.partition == partition]
    if not found:
        raise CannotGiveUp(_why_nowhere(topic, partition, troubles))
    topic_partition = TopicIdPartition(found[0].topic_id, partition)
    return StuckPartition(topic, topic_partition, known.get(topic_partition, found[0].low), found[0].high)


def _why_nowhere(topic: str, partition: int, troubles: Mapping[str, str]) -> str:
    if why := troubles.get(topic) or troubles.get(f"{topic}/{partition}"):
        return (
            f"Kafka does not answer where {topic}/{partition} ends: {why}. Mend that first: "
            "docs/runbook.md, MillracePartitionUnreadable"
        )
    return f"Kafka has no partition {partition} of topic {topic}: millrace gaps list names those that stand still"


def refuse_readable(worker: Worker, at: StuckPartition) -> None:
    """Make sure that the partition cannot be read where it stands.

    Raises:
        CannotGiveUp: it can.
    """
    if _readable(worker, at, at.committed):
        raise CannotGiveUp(
            f"{at.topic}/{at.topic_partition.partition} can be read at offset {at.committed}: nothing to give up"
        )


def readable_from(worker: Worker, at: StuckPartition, probed: Callable[[int], None] = lambda _: None) -> int:
    """The first offset behind what cannot be read, or the end of the log: twice as far each time, then by halves.

    Raises:
        CannotGiveUp: the partition can be read where it stands.
    """
    refuse_readable(worker, at)
    unreadable, step, readable = at.committed, 1, at.end
    while unreadable + step < at.end:
        probed(unreadable + step)
        if _readable(worker, at, unreadable + step):
            readable = unreadable + step
            break
        unreadable, step = unreadable + step, step * 2
    while readable - unreadable > 1:
        middle = (readable + unreadable) // 2
        probed(middle)
        if _readable(worker, at, middle):
            readable = middle
        else:
            unreadable = middle
    return readable


def _readable(worker: Worker, at: StuckPartition, offset: int) -> bool:
    """Whether the first thing that comes from there is a record or the end of the log.

    A consumer for each question: an answer that never ends keeps its connection from giving others.
    """
    consumer = worker.kafka.consumer(**BATCH_BY_BATCH, **{"group.id": f"{worker.kafka.group_id}-probe"})
    try:
        consumer.assign([TopicPartition(at.topic, at.topic_partition.partition, offset)])
        return _first_answer(consumer)
    finally:
        close(consumer)


def _first_answer(consumer: Consumer) -> bool:
    until = time.monotonic() + _PROBE_SECONDS
    while time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is None or message.topic() is None:
            continue
        error = message.error()
        return error is None or error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 - so named
    return False


def check_until(at: StuckPartition, until: int) -> None:
    """Make sure that a range is one.

    Raises:
        CannotGiveUp: it is not.
    """
    if not at.committed < until <= at.end:
        raise CannotGiveUp(
            f"--until: expected an offset above {at.committed} and up to {at.end}, the end of the log; found {until}"
        )


def give_up(worker: Worker, at: StuckPartition, until: int, actor: str) -> str:
    """Record the gap, move the offset behind it, and write the audit, in one transaction; returns the run's name.

    Raises:
        CannotGiveUp: the range is none, or ingest moved the partition meanwhile.
        StorageFailed: PostgreSQL failed for a minute; nothing was done.
    """
    check_until(at, until)
    run = f"give-up-{uuid.uuid4().hex[:12]}"
    gap = Gap(at.topic, at.topic_partition, at.committed, until, "unreadable")
    chunk = Chunk((OffsetRange(at.topic, at.topic_partition, at.committed, until),), [], [], (gap,))
    decoded = decode(worker.decoder, chunk)
    store = Store(
        Author(run, 0, "ingest"), worker.partitions, worker.failpoint, worker.verify_generation, worker.pending
    )
    call = AuditedCall(run, actor, "give_up", f"{at.topic}/{at.topic_partition.partition}")
    figures = {"from": str(at.committed), "until": str(until), "offsets": until - at.committed}

    def work(connection: Connection, prepared: Prepared) -> object:
        return store.ingest(connection, prepared, beside=lambda c: audit.add(c, call, figures))

    prepared = prepare(worker, decoded, claim(worker, decoded))
    done = store_chunk(worker, work, prepared, retry_policy(worker, time.monotonic() + _SECONDS), _LOG)
    if done is None:
        raise CannotGiveUp("ingest has moved the partition since: look again")
    return run


def as_dict(at: StuckPartition, until: int) -> Mapping[str, object]:
    """For scripts."""
    return {
        "topic": at.topic,
        "partition": at.topic_partition.partition,
        "from": at.committed,
        "until": until,
        "offsets": until - at.committed,
    }
