"""The ingest as Dagster assets: `raw/events` and `raw/dead_letters`, made by one op.

One, because data that passes from op to op in memory cannot be re-executed from failure. What belongs here: config,
metadata, and the choice between a first execution and a replay. What does not: the work.
"""

from collections.abc import Iterator, Mapping, Sequence
from logging import Logger
from typing import Any

import dagster as dg

from assets.ingest import ledger_queries
from assets.ingest.ledger import Author
from assets.ingest.ledger_queries import RunReport
from assets.ingest.plan import BatchPlan, OffsetRange
from assets.ingest.raw_tables import LAST_RUN, RawTotals, raw_spec
from assets.ingest.replay import Replayed, replay, uncommitted
from assets.ingest.retry import StorageFailed
from assets.ingest.run import ingest, read
from assets.ingest.worker import Worker
from monitoring.metrics.resource import Metrics

EVENTS = dg.AssetKey(["raw", "events"])
DEAD_LETTERS = dg.AssetKey(["raw", "dead_letters"])
OP_NAME = "ingest_ranges"  # not the name of the job: Dagster wants them apart
LANE_TAG = "millrace/lane"
QUEUE = "ingest"
_REPORT_SECONDS = 10.0
# One version for ever: Dagster would call each hour and day "unsynced" a second after it was made, because the table
# grew. What an hour lacks is known exactly: `ops.dirty_buckets`.
_GROWING = dg.DataVersion("growing")


class RangeConfig(dg.Config):
    """Offsets `start` up to but not including `end` of one partition."""

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int


class IngestConfig(dg.Config):
    """One plan. Without ranges there is nothing to do: the sensor makes plans, people need not."""

    lane: int = 0
    ranges: list[RangeConfig] = []  # noqa: RUF012 - a dagster config class, not a plain one


def config_of(plan: BatchPlan) -> dict[str, Any]:
    """The run config that makes a run execute a plan."""
    ranges = [
        {
            "topic": r.topic,
            "topic_id": str(r.topic_partition.topic_id),
            "partition": r.topic_partition.partition,
            "start": r.start,
            "end": r.end,
        }
        for r in plan.ranges
    ]
    return {"ops": {OP_NAME: {"config": {"lane": plan.lane, "ranges": ranges}}}}


def topic_key(topic: str) -> dg.AssetKey:
    """The asset of a Kafka topic."""
    return dg.AssetKey(["kafka", *topic.replace(".", "_").replace("-", "_").split("/")])


def topic_specs(topics: tuple[str, ...]) -> list[dg.AssetSpec]:
    """The Kafka topics, as the external assets that the lineage begins with."""
    return [
        dg.AssetSpec(
            topic_key(topic),
            description=f"The Kafka topic `{topic}`, where everything begins. Produced by others; Millrace reads it. "
            "What an event is: docs/events.md; a further topic: docs/topics.md.",
            group_name="kafka",
            kinds={"kafka"},
        )
        for topic in topics
    ]


def ingest_asset(topics: tuple[str, ...], owners: tuple[str, ...] = ()) -> dg.AssetsDefinition:
    """The asset definition, for the given topics."""
    sources, totals = [topic_key(topic) for topic in topics], RawTotals()

    @dg.multi_asset(
        name=OP_NAME,
        specs=[raw_spec(table, sources, owners) for table in ("raw.events", "raw.dead_letters")],
    )
    def _ingest(
        context: dg.AssetExecutionContext,
        config: IngestConfig,
        worker: dg.ResourceParam[Worker],
        metrics: dg.ResourceParam[Metrics],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        try:
            metadata = _execute(context, config, worker)
            held = _totals(worker, totals, context.log)
        finally:
            metrics.after_run(config.lane, context.log)
        events = {**held.get("raw.events", {}), **metadata}
        dead_letters = {**held.get("raw.dead_letters", {}), **_dead_letters_metadata(metadata)}
        yield dg.MaterializeResult(asset_key=EVENTS, metadata=events, data_version=_GROWING)
        yield dg.MaterializeResult(asset_key=DEAD_LETTERS, metadata=dead_letters, data_version=_GROWING)

    return _ingest


def _execute(context: dg.AssetExecutionContext, config: IngestConfig, worker: Worker) -> dict[str, Any]:
    ranges = tuple(
        OffsetRange(r.topic, ledger_queries.parse_topic_partition(r.topic_id, r.partition), r.start, r.end)
        for r in config.ranges
    )
    if not ranges:
        context.log.info("no ranges in the config: nothing to do. The sensor `kafka_offsets` plans the ingest.")
        return {"ended": "nothing to do: the run's config names no ranges"}
    run, log = context.run, context.log
    if run.parent_run_id is None:
        ended = ingest(worker, ranges, Author(run.run_id, config.lane, "ingest"), log)
        return {"ended": ended.why, **run_summary(worker, run.run_id, log)}
    earlier = {run.parent_run_id, run.root_run_id or run.parent_run_id}
    replayed = replay(worker, earlier, ranges, Author(run.run_id, config.lane, "replay"), log)
    why = _describe(replayed)
    rest = uncommitted(worker, ranges)
    if rest:
        ended = ingest(worker, rest, Author(run.run_id, config.lane, "ingest"), log)
        why += f"; the part that was not committed yet: {ended.why}"
    return {"ended": why, **run_summary(worker, run.run_id, log)}


def run_summary(worker: Worker, run_id: str, log: Logger) -> dict[str, Any]:
    """What the run did, for the page of the asset. All of it is committed: without an answer the run is no failure."""
    try:
        return _metadata(read(worker, lambda connection: ledger_queries.report(connection, run_id), _REPORT_SECONDS))
    except StorageFailed as error:
        log.warning("the run is done, but its counts cannot be read: %s; they are in ops.batches", error)
        return {}


def _totals(worker: Worker, totals: RawTotals, log: Logger) -> Mapping[str, Mapping[str, int]]:
    """As the summary: without an answer the run is no failure."""
    try:
        return read(worker, totals.of, _REPORT_SECONDS)
    except StorageFailed as error:
        log.warning("the run is done, but the size of the tables cannot be read: %s", error)
        return {}


def _describe(replayed: Replayed) -> str:
    why = f"replayed {replayed.batches} batches"
    if replayed.gone:
        why += f"; Kafka no longer holds {len(replayed.gone)} of the ranges: {_listed(replayed.gone)}"
    if replayed.closed:
        why += f"; {len(replayed.closed)} of the ranges are folded in the ledger: {_listed(replayed.closed)}"
    return why


def _listed(ranges: Sequence[OffsetRange]) -> str:
    return ", ".join(f"{r.topic}/{r.topic_partition.partition} {r.start}-{r.end}" for r in ranges[:10])


def _metadata(report: RunReport) -> dict[str, Any]:
    c = report.counts
    return {
        LAST_RUN: c.stored,
        "records": c.records,
        "stored": c.stored,
        "duplicates": c.duplicates,
        "dead_letters": c.dead_letters,
        "tombstones": c.tombstones,
        "erased": c.erased,
        "expired": c.expired,
        "transactions": report.batches,
        "retries": report.retries,
        "dedup_degraded": report.degraded,
        "latency_p50_seconds": report.latency_p50,
        "latency_max_seconds": report.latency_max,
        **{f"{name}_seconds": round(seconds, 3) for name, seconds in report.seconds.items()},
    }


def _dead_letters_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {LAST_RUN: metadata["dead_letters"]} if "dead_letters" in metadata else {}
