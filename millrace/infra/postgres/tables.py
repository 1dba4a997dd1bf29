"""The tables as SQLAlchemy metadata: what the migrations must add up to, and what the documentation is made from.

What belongs here: names, types, keys, comments. What does not: queries (they stand beside the code that runs them)
and the way from one version to the next (`migrations/versions`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, UUID

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

_TIME = DateTime(timezone=True)


def _column(
    name: str, kind: object, comment: str, *extra: object, null: bool = False, **more: object
) -> Column[object]:
    return Column(name, kind, *extra, nullable=null, comment=comment, **more)  # type: ignore[arg-type]


def _coordinates(prefix: str = "") -> list[Column[object]]:
    return [
        _column(f"{prefix}topic_id", UUID(), "Kafka's id of the topic: a re-created topic has another one"),
        _column(f"{prefix}partition", Integer, "Kafka partition"),
    ]


events = Table(
    "events",
    metadata,
    _column("event_id", UUID(), "The event's id; a UUID as sent, or the UUIDv5 of the text in source_event_id"),
    _column("occurred_at", _TIME, "When it happened, by the producer's timestamp"),
    _column("type", Text, "login, logout, page_view, button_click, form_submit, ..."),
    _column("user_id", Text, "payload.userId"),
    _column("payload", JSONB, "The payload, equal as a JSON value to what was sent"),
    _column("source_event_id", Text, "The eventId as sent, where it was not a UUID", null=True),
    *_coordinates("kafka_"),
    _column("kafka_offset", BigInteger, "Kafka offset of the record that was stored"),
    _column("ingested_at", _TIME, "When the storing transaction began", server_default=func.now()),
    schema="raw",
    comment="One row an event, each exactly once. By day of occurred_at; days before the first are in events_old.",
    postgresql_partition_by="RANGE (occurred_at)",
)
events.append_constraint(PrimaryKeyConstraint("occurred_at", "event_id"))
Index("events_user_id_occurred_at_idx", events.c.user_id, events.c.occurred_at)

dead_letters = Table(
    "dead_letters",
    metadata,
    _column("dead_letter_id", BigInteger, "Number of the letter", Identity(always=True), primary_key=True),
    _column("topic", Text, "Kafka topic"),
    *_coordinates(),
    _column("kafka_offset", BigInteger, "Kafka offset"),
    _column("key", BYTEA, "The record's key, byte for byte", null=True),
    _column("value", BYTEA, "The record's value, byte for byte", null=True),
    _column("header_names", ARRAY(BYTEA), "Names of the record's headers in order"),
    _column("header_values", ARRAY(BYTEA), "Values of the record's headers, same order; a missing value is null"),
    _column("kafka_timestamp", _TIME, "The record's Kafka timestamp, where it has one", null=True),
    _column("code", Text, "Why it was refused: a stable code, see docs/events.md"),
    _column("reason", Text, "Why it was refused, for people"),
    _column("status", Text, "open, resolved (stored since) or discarded", server_default=text("'open'")),
    _column("attempts", Integer, "How often it was tried", server_default=text("1")),
    _column("first_seen_at", _TIME, "When it was refused first", server_default=func.now()),
    _column("last_attempt_at", _TIME, "When it was tried last", server_default=func.now()),
    _column("run_id", Text, "The Dagster run that tried it last"),
    CheckConstraint("status in ('open', 'resolved', 'discarded')", name="status"),
    UniqueConstraint("topic_id", "partition", "kafka_offset"),
    schema="raw",
    comment="Records that are no valid events, kept exactly as they came. Unique by coordinate.",
)
Index("dead_letters_open_idx", dead_letters.c.code, postgresql_where=text("status = 'open'"))

offsets = Table(
    "offsets",
    metadata,
    _column("topic", Text, "Kafka topic"),
    _column("topic_id", UUID(), "Kafka's id of the topic: a re-created topic has another one", primary_key=True),
    _column("partition", Integer, "Kafka partition", primary_key=True, autoincrement=False),
    _column("next_offset", BigInteger, "Everything before it is accounted for; the next transaction starts here"),
    _column("updated_at", _TIME, "When it moved last", server_default=func.now()),
    _column("replaced_at", _TIME, "When the topic was found re-created under another id", null=True),
    schema="ops",
    comment="How far each partition is committed. The only truth; consumer-group offsets follow it as a courtesy.",
)

batches = Table(
    "batches",
    metadata,
    _column("batch_id", BigInteger, "Number of the batch", Identity(always=True), primary_key=True),
    _column("run_id", Text, "The Dagster run"),
    _column("lane", Integer, "The lane of the run"),
    _column("kind", Text, "ingest, or replay: a replay moves no offset and books signed differences"),
    _column("path", Text, "copy (straight in), staged (checked against what is stored) or none (no rows)"),
    _column("dedup_degraded", Boolean, "Redis could not be asked"),
    _column("records", BigInteger, "Kafka records"),
    _column("stored", BigInteger, "Events stored"),
    _column("duplicates_redis", BigInteger, "Duplicates that Redis recognised"),
    _column("duplicates_postgres", BigInteger, "Duplicates that PostgreSQL recognised"),
    _column("dead_letters", BigInteger, "Records refused"),
    _column("tombstones", BigInteger, "Records without a value"),
    _column("retries", Integer, "How often the transaction had to be tried again"),
    _column("pull_seconds", Double, "Waiting for Kafka and reading"),
    _column("decode_seconds", Double, "Decoding and validating"),
    _column("claim_seconds", Double, "Claiming ids in Redis"),
    _column("frame_seconds", Double, "Building and sorting the DataFrame"),
    _column("store_seconds", Double, "The PostgreSQL transaction"),
    _column("latency_p50_seconds", Double, "Median of Kafka timestamp to COMMIT", null=True),
    _column("latency_p95_seconds", Double, "95th percentile of Kafka timestamp to COMMIT", null=True),
    _column("latency_max_seconds", Double, "Largest of Kafka timestamp to COMMIT", null=True),
    _column("committed_at", _TIME, "When the transaction was about to commit", server_default=func.clock_timestamp()),
    CheckConstraint("kind in ('ingest', 'replay')", name="kind"),
    CheckConstraint(
        "records = stored + duplicates_redis + duplicates_postgres + dead_letters + tombstones", name="accounted"
    ),
    schema="ops",
    comment="The ledger: one row a committed transaction. records = stored + duplicates + dead letters + tombstones.",
)
Index("batches_run_id_idx", batches.c.run_id)
Index("batches_committed_at_idx", batches.c.committed_at)

batch_ranges = Table(
    "batch_ranges",
    metadata,
    _column(
        "batch_id",
        BigInteger,
        "The batch",
        ForeignKey(batches.c.batch_id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    _column("topic_id", UUID(), "Kafka's id of the topic", primary_key=True),
    _column("partition", Integer, "Kafka partition", primary_key=True, autoincrement=False),
    _column("start_offset", BigInteger, "First offset"),
    _column("end_offset", BigInteger, "One past the last offset"),
    _column("records", BigInteger, "Records found there (markers and compacted offsets are none)"),
    _column("stored", BigInteger, "Events stored"),
    _column("duplicates", BigInteger, "Duplicates"),
    _column("dead_letters", BigInteger, "Records refused"),
    _column("tombstones", BigInteger, "Records without a value"),
    CheckConstraint("records = stored + duplicates + dead_letters + tombstones", name="accounted"),
    schema="ops",
    comment="The ledger by partition: which offsets a batch covered and what became of them.",
)
Index("batch_ranges_coordinates_idx", batch_ranges.c.topic_id, batch_ranges.c.partition, batch_ranges.c.end_offset)

gaps = Table(
    "gaps",
    metadata,
    _column("gap_id", BigInteger, "Number of the gap", Identity(always=True), primary_key=True),
    _column("topic", Text, "Kafka topic"),
    *_coordinates(),
    _column("start_offset", BigInteger, "First offset that is lost"),
    _column("end_offset", BigInteger, "One past the last; unknown for a topic that was re-created", null=True),
    _column("reason", Text, "expired, recreated or went_backwards"),
    _column("detected_at", _TIME, "When it was found", server_default=func.now()),
    _column("run_id", Text, "The Dagster run that found it"),
    CheckConstraint("reason in ('expired', 'recreated', 'went_backwards')", name="reason"),
    schema="ops",
    comment="Data lost at the source: offsets that Kafka no longer had when they were to be read.",
)
Index("gaps_coordinates_idx", gaps.c.topic_id, gaps.c.partition)

events_minutely = Table(
    "events_minutely",
    metadata,
    _column("minute", _TIME, "Start of the minute, UTC", primary_key=True),
    _column("type", Text, "Event type", primary_key=True),
    _column("events", BigInteger, "Events that occurred in that minute"),
    schema="analytics",
    comment="Events by minute and type, kept in the transaction that stores the events.",
)
