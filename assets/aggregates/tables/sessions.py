"""Sessions: what a user did without a pause of more than 30 minutes (`assets.aggregates.sessions`)."""

from sqlalchemy import BigInteger, Boolean, Index, Text
from sqlalchemy.dialects.postgresql import UUID

from assets.aggregates.declare import (
    EVENT_ID,
    EVENT_PAYLOAD,
    EVENT_TIME,
    EVENT_TYPE,
    EVENT_USER,
    Aggregate,
    PreviewSpec,
    column,
    key,
    table,
)
from infra.postgres.tables.model import TIME

_POSITION = "raw.events.kafka_topic_id raw.events.kafka_partition raw.events.kafka_offset"
_PAGES = f"{EVENT_PAYLOAD} {EVENT_TIME}"

_TABLE = table(
    "sessions",
    "A user's events in time order; a gap of more than 30 minutes begins a new session.",
    key("session_id", UUID(), "Depends on the user and the start alone", f"{EVENT_USER} {EVENT_TIME}"),
    column("user_id", Text, "The user", EVENT_USER),
    column("started_at", TIME, "First event", EVENT_TIME),
    column("ended_at", TIME, "Last event", EVENT_TIME),
    column("events", BigInteger, "Events", EVENT_ID),
    column("page_views", BigInteger, "Page views among them", EVENT_TYPE),
    column("entry_page", Text, "Page of the first page view; equal times by Kafka coordinate", _PAGES, null=True),
    column("exit_page", Text, "Page of the last page view; equal times by Kafka coordinate", _PAGES, null=True),
    column("bounced", Boolean, "One page view and no other event; false for sessions without a page view", EVENT_TYPE),
    # What a session is merged with others by, without reading its events.
    column("entry_at", TIME, "When the entry page was seen", EVENT_TIME, null=True),
    column(
        "entry_position",
        UUID(),
        "Kafka position of the entry page's event: the order of equal times",
        _POSITION,
        null=True,
    ),
    column("exit_at", TIME, "When the exit page was seen", EVENT_TIME, null=True),
    column(
        "exit_position",
        UUID(),
        "Kafka position of the exit page's event: the order of equal times",
        _POSITION,
        null=True,
    ),
    column(
        "merged_events",
        BigInteger,
        "Events when these four were noted; others than events: they are out of date",
        EVENT_ID,
        null=True,
    ),
)
Index("sessions_user_id_started_at_idx", _TABLE.c.user_id, _TABLE.c.started_at)
Index("sessions_started_at_idx", _TABLE.c.started_at)

DECLARED = Aggregate(
    _TABLE, grain="session", time_column="started_at", preview=PreviewSpec("started_at desc"), group="users"
)
