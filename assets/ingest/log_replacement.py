"""What follows when a partition's log is another than the one that was committed: it lost its end, and may have grown.

What belongs here: up to where both logs are the same, and the transaction that replaces the old one by the new one.
What does not: noticing it (`pull`), and the ids of logs (`resources.kafka`).

The new log is ingested from where the two part, under an id of its own, so that no coordinate means two records; what
was stored of the old one stays. Records that both hold and that are read again are duplicates, by their event ids.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from logging import Logger
from typing import NamedTuple, TypeVar, cast

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from assets.ingest import ledger_queries, metric_counts, storage_rules
from assets.ingest.ledger import Author, anchored
from assets.ingest.model import Anchor, Gap, Record, anchor_of
from assets.ingest.plan import OffsetRange, TopicIdPartition
from assets.ingest.retry import StorageFailed
from assets.ingest.sql import statement
from assets.ingest.store import LOCK_TIMEOUT_SECONDS, insert_gap
from assets.ingest.worker import Worker
from resources.kafka import KafkaUnavailable, error_text, following_log, same_topic
from resources.postgres import Connection, commit, describe, is_transient

T = TypeVar("T")

_READ_SECONDS = 10.0
_PAUSE_SECONDS = 0.2


class CommonPrefix(NamedTuple):
    """What two logs of a partition share: everything before `end`, and nothing from `differs` on."""

    end: int
    differs: int
    last: Anchor | None


@dataclass(frozen=True)
class RecordReader:
    """Reads single records of a partition."""

    consumer: Consumer
    topic: str
    partition: int

    def holds(self, wanted: Anchor) -> bool:
        """Whether the log has this very record; False also if there is none any more at its offset.

        Raises:
            KafkaUnavailable: nothing came for 10 s.
        """
        self.consumer.assign([TopicPartition(self.topic, self.partition, wanted.offset)])
        try:
            until = time.monotonic() + _READ_SECONDS
            while time.monotonic() < until:
                for message in self.consumer.consume(1, 0.5):
                    if (message.topic(), message.partition()) == (self.topic, self.partition):
                        return message.error() is None and anchor_of(cast("Record", message)) == wanted
        except KafkaException as error:
            raise KafkaUnavailable(error_text(error)) from None
        finally:
            self.consumer.unassign()
        raise KafkaUnavailable(f"no record came of {self.topic}/{self.partition} for {_READ_SECONDS:.0f} s")


def common_prefix(
    known: Sequence[Anchor], holds: Callable[[Anchor], bool], low: int, high: int, committed: int
) -> CommonPrefix:
    """What the log that was committed and the one that there is now have in common.

    Args:
        known: records of the old log, in the order of their offsets.
        holds: whether the new one has such a record at its offset.
        low: where the new log begins.
        high: where it ends.
        committed: up to where the old one was committed.
    """
    candidates = [anchor for anchor in known if low <= anchor.offset < high]
    if not known:
        return CommonPrefix(min(high, committed), committed, None)  # nothing is remembered, so only its length can tell
    same, differs = 0, len(candidates)
    while same < differs:
        middle = (same + differs) // 2
        if holds(candidates[middle]):
            same = middle + 1
        else:
            differs = middle
    last = candidates[same - 1] if same else None
    beyond = candidates[same].offset if same < len(candidates) else min(high, committed)
    return CommonPrefix(last.offset + 1 if last else low, max(beyond, low), last)


def replace_log(worker: Worker, r: OffsetRange, author: Author, log: Logger) -> str:
    """Put the log that there is now in the place of the committed one, and say what was done.

    Raises:
        KafkaUnavailable, StorageFailed: nothing was changed; the next run finds the same.
    """
    ids = worker.kafka.topic_ids([r.topic])
    if r.topic not in ids or not same_topic(ids[r.topic][0], r.topic_partition.topic_id):
        return f"topic {r.topic} was re-created or deleted during the run; the next run reads what it holds now"
    topic_id = ids[r.topic][0]
    low, high = _bounds(worker, r)
    known = with_retry(worker, lambda connection: ledger_queries.anchors_of_batches(connection, r), log)
    looks = RecordReader(worker.consumer(), r.topic, r.topic_partition.partition)
    shared = common_prefix(known, looks.holds, low, high, r.start)
    new = r.topic_partition._replace(topic_id=following_log(topic_id, r.topic_partition.topic_id))
    gap = Gap(
        r.topic,
        r.topic_partition,
        min(shared.end, r.start),
        r.start,
        "went_backwards" if high < r.start else "overwritten",
    )
    if not with_retry(worker, lambda connection: _switch(connection, r, new, shared, gap, author), log):
        return "another run has put the log that there is now in the place of the committed one"
    what = f"the log of {r.topic}/{r.topic_partition.partition} lost its end"
    said = f"{what}: offsets from {gap.start} on, of {r.start} committed"
    log.error("%s, hold other records now; ingest reads on from there, and a gap is recorded", said)
    return f"{said}, are read again"


def _bounds(worker: Worker, r: OffsetRange) -> tuple[int, int]:
    """Where the log begins and ends now."""
    for held in worker.kafka.available([r.topic]):
        if held.partition == r.topic_partition.partition:
            return held.low, held.high
    raise KafkaUnavailable(f"partition {r.topic_partition.partition} of topic {r.topic} has no leader")


def _switch(
    connection: Connection, r: OffsetRange, new: TopicIdPartition, shared: CommonPrefix, gap: Gap, author: Author
) -> bool:
    """One transaction; False if another run was faster."""
    storage_rules.begin_storing(connection, (r,), LOCK_TIMEOUT_SECONDS, again=False)
    where = {
        "topic": r.topic,
        "topic_id": r.topic_partition.topic_id,
        "partition": r.topic_partition.partition,
        "start": r.start,
    }
    if not connection.execute(statement("retire_log"), where).rowcount:
        connection.execute("rollback")
        return False
    more = {"log_id": new.topic_id, "kept": shared.end, "differs": shared.differs}
    connection.execute(statement("open_log"), {**where, **more, **anchored(shared.last)})
    connection.execute(statement("inherit_erasures"), {**where, **more})
    insert_gap(connection, gap, author.run_id)
    metric_counts.lost([gap]).write(connection, author.lane)
    commit(connection)
    return True


def with_retry(worker: Worker, work: Callable[[Connection], T], log: Logger) -> T:
    """Do it until it succeeds, for as long as a run may take.

    Raises:
        StorageFailed: a failure that trying again does not mend, or that did not end in time.
    """
    until = time.monotonic() + worker.limits.budget_seconds
    while True:
        try:
            return work(worker.database.connection())
        except psycopg.Error as error:
            worker.database.failed(error)
            if not is_transient(error) or time.monotonic() > until:
                raise StorageFailed(describe(error)) from None
            log.warning("trying again (%s)", describe(error))
            time.sleep(_PAUSE_SECONDS)
