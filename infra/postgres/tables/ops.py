"""Schema `ops`: offsets, the ledger, gaps, marks on buckets, what was erased or dropped, who did what.

What belongs here: what Millrace itself must know to be exact. What does not: what analysts read (`analytics`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, DATEMULTIRANGE, JSONB, TSTZMULTIRANGE, UUID

from infra.postgres.tables.model import TIME, column, coordinates, key, metadata

offsets = Table(
    "offsets",
    metadata,
    column("topic", Text, "Kafka topic"),
    column("topic_id", UUID(), "Kafka's id of the topic: a re-created topic has another one", primary_key=True),
    column("partition", Integer, "Kafka partition", primary_key=True, autoincrement=False),
    column("next_offset", BigInteger, "Everything before it is accounted for; the next transaction starts here"),
    column("updated_at", TIME, "When it moved last", server_default=func.now()),
    column("replaced_at", TIME, "When the topic was found re-created under another id", null=True),
    column("last_offset", BigInteger, "Offset of the last record that was committed; null without one", null=True),
    column(
        "last_digest",
        BYTEA,
        "Digest of its time, key and value: if another record stands there, the log lost its end",
        null=True,
    ),
    schema="ops",
    comment="How far each partition is committed. The only truth; consumer-group offsets follow it as a courtesy.",
)

unreadable_partitions = Table(
    "unreadable_partitions",
    metadata,
    column("topic", Text, "Kafka topic"),
    column("topic_id", UUID(), "Kafka's id of the topic: a re-created topic has another one", primary_key=True),
    column("partition", Integer, "Kafka partition", primary_key=True, autoincrement=False),
    column("at_offset", BigInteger, "The next offset to read, which cannot be read"),
    column("error", Text, "The error of Kafka or of its client"),
    column("since", TIME, "When it was first met at this offset", server_default=func.now()),
    column("seen_at", TIME, "When it was last met", server_default=func.now()),
    column("run_id", Text, "The Dagster run that met it last"),
    schema="ops",
    comment="Partitions that Kafka did not hand out when a run read them; a row holds while the partition stands at "
    "its offset.",
)

batches = Table(
    "batches",
    metadata,
    column("batch_id", BigInteger, "Number of the batch", Identity(always=True), primary_key=True),
    column("run_id", Text, "The Dagster run, or the redrive or erasure"),
    column("lane", Integer, "The lane of the run; -1 where it is closed"),
    column(
        "kind",
        Text,
        "ingest; replay, redrive, erase, retention (they move no offset and record signed differences); "
        "closed (a sum of many)",
    ),
    column("path", Text, "copy (straight in), staged (checked against what is stored), none (no rows), closed"),
    column("dedup_degraded", Boolean, "Redis could not be asked"),
    column("records", BigInteger, "Kafka records"),
    column("stored", BigInteger, "Events stored"),
    column("duplicates_redis", BigInteger, "Duplicates that Redis recognised"),
    column("duplicates_postgres", BigInteger, "Duplicates that PostgreSQL recognised"),
    column("dead_letters", BigInteger, "Records refused"),
    column("tombstones", BigInteger, "Records without a value"),
    column("erased", BigInteger, "Records of users who were erased", server_default=text("0")),
    column("expired", BigInteger, "Events from before the frontier of retention", server_default=text("0")),
    column("retries", Integer, "How often the transaction had to be tried again"),
    column("pull_seconds", Double, "Waiting for Kafka and reading"),
    column("decode_seconds", Double, "Decoding and validating"),
    column("claim_seconds", Double, "Claiming ids in Redis"),
    column("frame_seconds", Double, "Building and sorting the DataFrame"),
    column("store_seconds", Double, "The PostgreSQL transaction"),
    column("latency_p50_seconds", Double, "Median of Kafka timestamp to COMMIT", null=True),
    column("latency_p95_seconds", Double, "95th percentile of Kafka timestamp to COMMIT", null=True),
    column("latency_max_seconds", Double, "Largest of Kafka timestamp to COMMIT", null=True),
    column("committed_at", TIME, "When the transaction was about to commit", server_default=func.clock_timestamp()),
    column("transactions", Integer, "How many it stands for: 1, unless it is closed", server_default=text("1")),
    CheckConstraint("kind in ('ingest', 'replay', 'redrive', 'erase', 'retention', 'closed')", name="kind"),
    CheckConstraint(
        "records = stored + duplicates_redis + duplicates_postgres + dead_letters + tombstones + erased + expired",
        name="accounted",
    ),
    schema="ops",
    comment="The ledger: one row a committed transaction. "
    "records = stored + duplicates + dead letters + tombstones + erased + expired.",
)
Index("batches_run_id_idx", batches.c.run_id)
Index("batches_committed_at_idx", batches.c.committed_at)
Index("batches_closed_idx", batches.c.batch_id, postgresql_where=text("kind = 'closed'"))

batch_ranges = Table(
    "batch_ranges",
    metadata,
    column(
        "batch_id",
        BigInteger,
        "The batch",
        ForeignKey(batches.c.batch_id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    column("topic_id", UUID(), "Kafka's id of the topic", primary_key=True),
    column("partition", Integer, "Kafka partition", primary_key=True, autoincrement=False),
    column("start_offset", BigInteger, "First offset", primary_key=True, autoincrement=False),
    column("end_offset", BigInteger, "One past the last offset"),
    column("records", BigInteger, "Records found there (markers and compacted offsets are none)"),
    column("stored", BigInteger, "Events stored"),
    column("duplicates", BigInteger, "Duplicates"),
    column("dead_letters", BigInteger, "Records refused"),
    column("tombstones", BigInteger, "Records without a value"),
    column("erased", BigInteger, "Records of users who were erased", server_default=text("0")),
    column("expired", BigInteger, "Events from before the frontier of retention", server_default=text("0")),
    column("last_offset", BigInteger, "Offset of the last record found there", null=True),
    column("last_digest", BYTEA, "Digest of its time, key and value", null=True),
    CheckConstraint("records = stored + duplicates + dead_letters + tombstones + erased + expired", name="accounted"),
    schema="ops",
    comment="The ledger by partition: which offsets a batch covered and what became of them.",
)
Index("batch_ranges_coordinates_idx", batch_ranges.c.topic_id, batch_ranges.c.partition, batch_ranges.c.end_offset)

gaps = Table(
    "gaps",
    metadata,
    column("gap_id", BigInteger, "Number of the gap", Identity(always=True), primary_key=True),
    column("topic", Text, "Kafka topic"),
    *coordinates(),
    column("start_offset", BigInteger, "First offset that is lost"),
    column("end_offset", BigInteger, "One past the last; unknown for a topic that was re-created", null=True),
    column("reason", Text, "expired, recreated, went_backwards, overwritten or unreadable"),
    column("detected_at", TIME, "When it was found", server_default=func.now()),
    column("run_id", Text, "The Dagster run that found it, or the command that gave it up"),
    CheckConstraint("reason in ('expired', 'recreated', 'went_backwards', 'overwritten', 'unreadable')", name="reason"),
    schema="ops",
    comment="Data lost at the source: offsets that Kafka no longer had when they were to be read.",
)
Index("gaps_coordinates_idx", gaps.c.topic_id, gaps.c.partition)

dirty_buckets = Table(
    "dirty_buckets",
    metadata,
    column("mark_id", BigInteger, "Number of the mark", Identity(always=True), primary_key=True),
    column("hour", TIME, "The hour, UTC, that events were stored in"),
    column("low", TIME, "occurred_at of the first of them"),
    column("high", TIME, "occurred_at of the last of them"),
    column("events", BigInteger, "How many"),
    column("batch_id", BigInteger, "The batch of the ledger whose offsets identify them", null=True),
    column("event_ids", ARRAY(UUID()), "Their ids, where the offsets of a batch do not identify them", null=True),
    column("marked_at", TIME, "When they were stored", server_default=func.clock_timestamp()),
    column(
        "windows",
        TSTZMULTIRANGE,
        "Times between low and high in which all of them lie, for reading no others; null: anywhere between",
        null=True,
    ),
    CheckConstraint("(batch_id is null) <> (event_ids is null)", name="identified"),
    schema="ops",
    comment="Events that some group of tables does not hold yet, one mark for each transaction and hour. "
    "Empty: nothing waits.",
)
Index("dirty_buckets_hour_idx", dirty_buckets.c.hour)

taken_marks = Table(
    "taken_marks",
    metadata,
    key("consumer", Text, "The group of tables: hourly, users or security"),
    column(
        "mark_id",
        BigInteger,
        "The mark",
        ForeignKey("ops.dirty_buckets.mark_id"),
        primary_key=True,
        autoincrement=False,
    ),
    schema="ops",
    comment="Marks that some groups of tables have taken in and others have not: the last one deletes the mark.",
)
Index("taken_marks_mark_id_idx", taken_marks.c.mark_id)

hour_members = Table(
    "hour_members",
    metadata,
    column("slot", SmallInteger, "The day since 1970, UTC, modulo 8: a new day empties the slot of the one before"),
    column("hour", Integer, "Hours since 1970, UTC"),
    column("member", UUID(), "Digest of table, key and user; only zeros: all members of the hour are here"),
    column(
        "events",
        BigInteger,
        "Beside only zeros: events of the hour that are counted; others in events_hourly: the members are not all here",
        null=True,
    ),
    schema="ops",
    comment="Who is counted in the hourly tables, for hours of recent days; a late event in another hour reads "
    "raw.events.",
    postgresql_partition_by="LIST (slot)",
)
hour_members.append_constraint(PrimaryKeyConstraint("slot", "hour", "member"))

login_addresses = Table(
    "login_addresses",
    metadata,
    key("user_id", Text, "The user"),
    key("address", Text, "The address, in its canonical spelling"),
    column("seen_on", Date, "Day (UTC) of the user's last login or logout from there, or a later one"),
    schema="ops",
    comment="Which users were seen at which addresses: what a refresh has to read of analytics.login_audit. Kept by "
    "triggers on that table.",
)
Index("login_addresses_user_id_seen_on_idx", login_addresses.c.user_id, login_addresses.c.seen_on)
Index("login_addresses_address_seen_on_idx", login_addresses.c.address, login_addresses.c.seen_on)

aggregate_history = Table(
    "aggregate_history",
    metadata,
    key("name", Text, "The table, without its schema"),
    column("definition", Text, "Versions of its definition and of the tables that it is made of; digest of the funnel"),
    column("missing", DATEMULTIRANGE, "Days that are still to be rebuilt; empty: the table is whole"),
    column("since", TIME, "Since when this definition holds", server_default=func.clock_timestamp()),
    schema="ops",
    comment="For which days an aggregate is not what its definition makes of raw.events. A table without a row lacks "
    "every day.",
)

retention_frontier = Table(
    "retention_frontier",
    metadata,
    column("one", Boolean, "There is one row", primary_key=True, server_default=text("true")),
    column("frontier", TIME, "Raw events before it were dropped; nothing before it changes any more"),
    column("moved_at", TIME, "When it moved last", server_default=func.now()),
    CheckConstraint("one", name="one"),
    schema="ops",
    comment="Up to where raw events were dropped. No row, or -infinity: nothing was.",
)

erasures = Table(
    "erasures",
    metadata,
    key("user_hash", BYTEA, "Keyed hash of the user's id; the id itself is nowhere kept"),
    key("topic_id", UUID(), "Kafka's id of the topic"),
    key("partition", Integer, "Kafka partition"),
    column("up_to_offset", BigInteger, "Records of the user before this offset stay erased, also in a replay"),
    column("erased_at", TIME, "When it was asked for", server_default=func.now()),
    schema="ops",
    comment="Users who stay erased: a replay counts their records as erased and does not store them again.",
)
Index("erasures_coordinates_idx", erasures.c.topic_id, erasures.c.partition, erasures.c.up_to_offset)

erasure_key = Table(
    "erasure_key",
    metadata,
    column("one", Boolean, "There is one row", primary_key=True, server_default=text("true")),
    column("key", BYTEA, "Random, made with the first erasure"),
    CheckConstraint("one", name="one"),
    schema="ops",
    comment="The key of the hashes in erasures.",
)

claim_key = Table(
    "claim_key",
    metadata,
    column("one", Boolean, "There is one row", primary_key=True, server_default=text("true")),
    column("key", BYTEA, "Random, 32 bytes, made by the migration"),
    CheckConstraint("one", name="one"),
    schema="ops",
    comment="The key of the digests in claims: write access to Redis alone does not prove that an event is stored.",
)

audit_log = Table(
    "audit_log",
    metadata,
    column("audit_id", BigInteger, "Number of the entry", Identity(always=True), primary_key=True),
    column("at", TIME, "When", server_default=func.clock_timestamp()),
    column("actor", Text, "Who: the user of the operating system, or the Dagster run"),
    column("action", Text, "redrive, discard, erase, retention, ..."),
    column("subject", Text, "What it was done to; of an erased user only the hash"),
    column("details", JSONB, "Figures", server_default=text("'{}'::jsonb")),
    schema="ops",
    comment="Who redrove, discarded, erased or dropped what. Never a payload, never the id of an erased user.",
)
Index("audit_log_at_idx", audit_log.c.at)

dead_letter_attempts = Table(
    "dead_letter_attempts",
    metadata,
    column("entry_id", BigInteger, "Number of the entry", Identity(always=True), primary_key=True),
    column(
        "dead_letter_id",
        BigInteger,
        "The dead letter",
        ForeignKey("raw.dead_letters.dead_letter_id", ondelete="CASCADE"),
    ),
    column("attempt", Integer, "Which attempt it was, from 1"),
    column("at", TIME, "When", server_default=func.now()),
    column(
        "outcome", Text, "refused, stored, duplicate, ...; discarded is no attempt, it keeps the number of the last"
    ),
    column("code", Text, "Why it was refused", null=True),
    column("reason", Text, "Why it was refused or discarded, for people", null=True),
    column("run_id", Text, "The Dagster run, the redrive or the discard"),
    schema="ops",
    comment="What became of a dead letter at each attempt. A dead letter that was tried only once has no entry yet.",
)
Index("dead_letter_attempts_dead_letter_id_idx", dead_letter_attempts.c.dead_letter_id)

reused_ids = Table(
    "reused_ids",
    metadata,
    key("event_id", UUID(), "The id that was used again"),
    key("occurred_at", TIME, "occurred_at of the event that came later"),
    column("first_occurred_at", TIME, "occurred_at of the event that was stored first under this id"),
    column("type", Text, "Type of the event that came later"),
    column("first_type", Text, "Type of the event that was stored first"),
    column("found_at", TIME, "When it was found", server_default=func.now()),
    schema="ops",
    comment="Ids under which events of different times are stored: looked for daily, among a week's events.",
)
Index("reused_ids_found_at_idx", reused_ids.c.found_at)

totals = Table(
    "totals",
    metadata,
    key("metric", Text, "Name of the metric"),
    key("labels", ARRAY(Text), "Values of its labels; of a histogram also the bucket's upper bound, or sum"),
    key("lane", Integer, "The lane that counted; -1: counted by no lane, -2: ended Dagster runs"),
    column("amount", Double, "The total; it only grows"),
    column("changed_at", TIME, "When it grew last", server_default=func.clock_timestamp()),
    schema="ops",
    comment="The totals behind the counters of the metrics, each added in the transaction that it counts.",
    postgresql_with={"fillfactor": 50},
)

failure_causes = Table(
    "failure_causes",
    metadata,
    key("job", Text, "The Dagster job"),
    key("cause", Text, "Why its runs failed: a class of failures, never the text of an error"),
    column("runs", BigInteger, "How many runs failed of it, ever"),
    column("first_at", TIME, "When the first of them failed"),
    column("last_at", TIME, "When the last of them failed"),
    column("last_run_id", Text, "That run"),
    column("reported_at", TIME, "When it was reported last: once, until it has been quiet for a while", null=True),
    schema="ops",
    comment="Why runs failed, a row a cause: what the sensor run_failures reports once, not once a run.",
)

failed_runs = Table(
    "failed_runs",
    metadata,
    key("run_id", Text, "The Dagster run"),
    column("job", Text, "Its job"),
    column("cause", Text, "Its cause"),
    column("failed_at", TIME, "When it failed"),
    schema="ops",
    comment="Failed runs that are counted in failure_causes already; kept as long as Dagster keeps failed runs.",
)
Index("failed_runs_failed_at_idx", failed_runs.c.failed_at)
