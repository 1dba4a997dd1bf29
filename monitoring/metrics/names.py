"""Every metric of Millrace: its name, kind, labels and meaning.

What belongs here: the contract. Rules, dashboards and `docs/metrics.md` are held against it, and what is not in here
cannot be emitted. What does not: values.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

MetricName = Literal[
    "millrace_events_total",
    "millrace_rejections_total",
    "millrace_batches_total",
    "millrace_duplicates_total",
    "millrace_retries_total",
    "millrace_redrives_total",
    "millrace_end_to_end_seconds",
    "millrace_batch_seconds",
    "millrace_gap_offsets_total",
    "millrace_gaps_total",
    "millrace_login_anomalies_total",
    "millrace_runs_total",
    "millrace_run_failures_total",
    "millrace_push_failures_total",
    "millrace_last_commit_timestamp_seconds",
    "millrace_lane_records_total",
    "millrace_consumer_lag_events",
    "millrace_oldest_unread_seconds",
    "millrace_queue_depth",
    "millrace_runs_in_flight",
    "millrace_dependency_up",
    "millrace_dedup_degraded",
    "millrace_build_info",
    "millrace_aggregate_staleness_seconds",
    "millrace_aggregate_waiting_events",
    "millrace_check_passed",
    "millrace_partition_unreadable",
    "millrace_topic_left_out_events",
    "millrace_table_bytes",
    "millrace_table_rows",
    "millrace_database_bytes",
    "millrace_database_capacity_bytes",
    "millrace_oldest_transaction_seconds",
    "millrace_transaction_ids_used",
    "millrace_notify_queue_ratio",
    "millrace_redis_memory_bytes",
    "millrace_redis_memory_limit_bytes",
    "millrace_dead_letters_open",
]

Kind = Literal["counter", "gauge", "histogram"]

# Which push a metric comes with: a group of the Pushgateway is replaced as a whole.
#   totals   counters, from the ledger's own sums; by whoever holds the lock for it
#   lane     of one lane; grouping key also lane="N"
#   lag      Kafka against what is committed
#   health   which of the services answer
#   state    what waits, what is stale, what cannot be read
#   storage  sizes; rarely
Group = Literal["totals", "lane", "lag", "health", "state", "storage"]


class Metric(NamedTuple):
    """One metric. Labels beside those of the grouping key (`job="millrace"`, `collector`, for lanes also `lane`)."""

    group: Group
    kind: Kind
    labels: tuple[str, ...]
    help: str


# Upper bounds in seconds; a last one of +Inf is implied.
END_TO_END_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
STEP_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BOUNDS: Mapping[MetricName, tuple[float, ...]] = MappingProxyType(
    {"millrace_end_to_end_seconds": END_TO_END_BOUNDS, "millrace_batch_seconds": STEP_BOUNDS}
)

# The value of a label where there is nothing to name: a dead letter has no type.
NONE = "none"

METRICS: Mapping[MetricName, Metric] = MappingProxyType(
    {
        "millrace_events_total": Metric(
            "totals",
            "counter",
            ("outcome", "type"),
            "Records by what became of them first: stored, duplicate, dead_letter, tombstone, erased, expired. "
            "A later change (a redrive, an erasure) adds to the new outcome and takes nothing away from the old one.",
        ),
        "millrace_rejections_total": Metric("totals", "counter", ("code",), "Records refused, by rejection code."),
        "millrace_batches_total": Metric(
            "totals",
            "counter",
            ("result",),
            "Chunks by result: committed, already_committed (a twin was first), topic_replaced, failed.",
        ),
        "millrace_duplicates_total": Metric(
            "totals", "counter", ("source",), "Duplicates by who recognised them: redis or postgres."
        ),
        "millrace_retries_total": Metric(
            "totals",
            "counter",
            ("kind",),
            "Transactions that were tried again, by why: deadlock, lock_timeout, serialization, connection, "
            "partition, kafka, other.",
        ),
        "millrace_redrives_total": Metric(
            "totals", "counter", ("result",), "Dead letters that were tried again, by result: stored, duplicate, ..."
        ),
        "millrace_end_to_end_seconds": Metric(
            "totals", "histogram", (), "From a record's Kafka timestamp to the commit that accounts for it."
        ),
        "millrace_batch_seconds": Metric(
            "totals", "histogram", ("step",), "Seconds of a chunk in a step: pull, decode, claim, frame, store."
        ),
        "millrace_gap_offsets_total": Metric(
            "totals", "counter", (), "Offsets that were lost at the source, where their number is known."
        ),
        "millrace_gaps_total": Metric(
            "totals",
            "counter",
            ("reason",),
            "Losses at the source: expired, recreated, went_backwards, overwritten, unreadable.",
        ),
        "millrace_login_anomalies_total": Metric(
            "totals",
            "counter",
            ("kind", "age"),
            "Flags of the login audit, by flag; age is recent for logins of the last hour, late for older ones.",
        ),
        "millrace_runs_total": Metric(
            "totals", "counter", ("run_job", "result"), "Ended Dagster runs by job: success, failure, canceled."
        ),
        "millrace_run_failures_total": Metric(
            "totals", "counter", ("run_job", "cause"), "Failed Dagster runs by job and cause, see ops.failure_causes."
        ),
        "millrace_push_failures_total": Metric(
            "totals", "counter", ("reason",), "Pushes of metrics that failed: unreachable, timeout, refused."
        ),
        "millrace_last_commit_timestamp_seconds": Metric(
            "lane", "gauge", (), "When the lane committed last, as a Unix time."
        ),
        "millrace_lane_records_total": Metric("lane", "counter", (), "Records that the lane has accounted for."),
        "millrace_consumer_lag_events": Metric(
            "lag", "gauge", ("topic", "partition"), "Offsets in Kafka that are not committed yet."
        ),
        "millrace_oldest_unread_seconds": Metric(
            "lag", "gauge", (), "Age of the oldest record that is not committed, by its Kafka timestamp; 0 without any."
        ),
        "millrace_queue_depth": Metric("state", "gauge", ("queue",), "Runs that wait in Celery's broker for a worker."),
        "millrace_runs_in_flight": Metric("state", "gauge", ("run_job",), "Dagster runs that have not ended."),
        "millrace_dependency_up": Metric(
            "health",
            "gauge",
            ("dependency",),
            "Whether it does its work: kafka and postgres answer, redis and broker take writes.",
        ),
        "millrace_dedup_degraded": Metric(
            "health", "gauge", (), "1 while Redis cannot be asked for ids and PostgreSQL alone de-duplicates."
        ),
        "millrace_build_info": Metric("health", "gauge", ("version",), "1; the version is in the label."),
        "millrace_aggregate_staleness_seconds": Metric(
            "state", "gauge", ("table",), "How long the oldest event that the table lacks has been stored."
        ),
        "millrace_aggregate_waiting_events": Metric(
            "state", "gauge", (), "Stored events that the aggregates do not hold yet."
        ),
        "millrace_check_passed": Metric(
            "state", "gauge", ("check",), "Whether the newest evaluation of an exactness check in Dagster passed."
        ),
        "millrace_partition_unreadable": Metric(
            "state",
            "gauge",
            ("topic", "partition", "at_offset", "error"),
            "1 for a partition that Kafka does not hand out; without any where all can be read. Partition `all`: Kafka "
            "does not describe the topic.",
        ),
        "millrace_topic_left_out_events": Metric(
            "state",
            "gauge",
            ("topic",),
            "Unread records of a topic that was ingested and is not in MILLRACE_KAFKA_TOPICS any more.",
        ),
        "millrace_table_bytes": Metric(
            "storage", "gauge", ("table",), "Size of a table with its indexes, partitions added up; schema.table."
        ),
        "millrace_table_rows": Metric(
            "storage", "gauge", ("table",), "Rows of a table: of raw.events exact, else as PostgreSQL estimates."
        ),
        "millrace_database_bytes": Metric("storage", "gauge", (), "Size of the database."),
        "millrace_database_capacity_bytes": Metric(
            "storage", "gauge", (), "How large the database may become, by MILLRACE_POSTGRES_CAPACITY_BYTES."
        ),
        "millrace_oldest_transaction_seconds": Metric(
            "storage",
            "gauge",
            (),
            "How long the server's oldest transaction is open, in any database; absent if the owner cannot know.",
        ),
        "millrace_transaction_ids_used": Metric(
            "storage",
            "gauge",
            (),
            "Transaction or multixact ids since the oldest not frozen, in any database; the server stops at 2.1e9.",
        ),
        "millrace_notify_queue_ratio": Metric(
            "storage",
            "gauge",
            (),
            "How full the server's queue of notifications is, 0 to 1; at 1 Dagster cannot write.",
        ),
        "millrace_redis_memory_bytes": Metric("storage", "gauge", ("server",), "Memory in use: claims, broker."),
        "millrace_redis_memory_limit_bytes": Metric(
            "storage", "gauge", ("server",), "Redis's maxmemory; absent when unset."
        ),
        "millrace_dead_letters_open": Metric("storage", "gauge", ("code",), "Open dead letters by rejection code."),
    }
)
