"""Schema `raw`: the events, and the records that are no events, kept byte for byte."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, UUID

from infra.postgres.tables.model import TIME, column, coordinates, metadata

events = Table(
    "events",
    metadata,
    column("event_id", UUID(), "The event's id; a UUID as sent, or the UUIDv5 of the text in source_event_id"),
    column("occurred_at", TIME, "When it happened, by the producer's timestamp"),
    column("type", Text, "login, logout, page_view, button_click, form_submit, ..."),
    column("user_id", Text, "payload.userId"),
    column("payload", JSONB, "The payload, equal as a JSON value to what was sent"),
    column("source_event_id", Text, "The eventId as sent, where it was not a UUID", null=True),
    *coordinates("kafka_"),
    column("kafka_offset", BigInteger, "Kafka offset of the record that was stored"),
    column("ingested_at", TIME, "When the storing transaction began", server_default=func.now()),
    schema="raw",
    comment="One row an event, each exactly once. By day of occurred_at; days before the first are in events_old.",
    postgresql_partition_by="RANGE (occurred_at)",
)
events.append_constraint(PrimaryKeyConstraint("occurred_at", "event_id"))
Index("events_user_id_occurred_at_idx", events.c.user_id, events.c.occurred_at)

dead_letters = Table(
    "dead_letters",
    metadata,
    column("dead_letter_id", BigInteger, "Number of the dead letter", Identity(always=True), primary_key=True),
    column("topic", Text, "Kafka topic"),
    *coordinates(),
    column("kafka_offset", BigInteger, "Kafka offset"),
    column("key", BYTEA, "The record's key, byte for byte", null=True),
    column("value", BYTEA, "The record's value, byte for byte", null=True),
    column("header_names", ARRAY(BYTEA), "Names of the record's headers in order"),
    column("header_values", ARRAY(BYTEA), "Values of the record's headers, same order; a missing value is null"),
    column("kafka_timestamp", TIME, "The record's Kafka timestamp, where it has one", null=True),
    column("code", Text, "Why it was refused: a stable code, see docs/events.md"),
    column("reason", Text, "Why it was refused, for people"),
    column(
        "status",
        Text,
        "open, resolved (stored since, or known as a duplicate) or discarded",
        server_default=text("'open'"),
    ),
    column("attempts", Integer, "How often it was tried", server_default=text("1")),
    column("first_seen_at", TIME, "When it was refused first", server_default=func.now()),
    column("last_attempt_at", TIME, "When it was tried last", server_default=func.now()),
    column("run_id", Text, "The Dagster run, or the redrive, that tried it last"),
    CheckConstraint("status in ('open', 'resolved', 'discarded')", name="status"),
    UniqueConstraint("topic_id", "partition", "kafka_offset"),
    schema="raw",
    comment="Records that are no valid events, kept exactly as they came. Unique by coordinate.",
)
Index("dead_letters_open_idx", dead_letters.c.code, postgresql_where=text("status = 'open'"))
Index(
    "dead_letters_settled_idx",
    dead_letters.c.last_attempt_at,
    postgresql_where=text("status <> 'open' and value is not null"),
)
