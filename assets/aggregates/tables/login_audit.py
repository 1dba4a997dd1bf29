"""Logins and logouts with their flags (`assets.aggregates.login_audit`)."""

from sqlalchemy import Computed, Index, PrimaryKeyConstraint, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from assets.aggregates.declare import (
    EVENT_ID,
    EVENT_PAYLOAD,
    EVENT_TIME,
    EVENT_TYPE,
    EVENT_USER,
    Aggregate,
    PreviewSpec,
    column,
    table,
)
from infra.postgres.tables.model import TIME

_TABLE = table(
    "login_audit",
    "Every login and logout, with what is unusual about it.",
    column("event_id", UUID(), "The event", EVENT_ID),
    column("occurred_at", TIME, "When it happened", EVENT_TIME),
    column("user_id", Text, "The user", EVENT_USER),
    column("action", Text, "login or logout", EVENT_TYPE),
    column("ip", Text, "The address, as it was sent", EVENT_PAYLOAD, null=True),
    column("device", Text, "The device; logouts have none", EVENT_PAYLOAD, null=True),
    column(
        "flags",
        ARRAY(Text),
        "What is unusual about it, in alphabetical order; see docs/analysts.md",
        f"{EVENT_USER} {EVENT_TIME} {EVENT_TYPE} {EVENT_PAYLOAD}",
    ),
    column(
        "address",
        Text,
        "The address in its one canonical spelling, IPv4-mapped IPv6 as IPv4: what flags and counts compare",
        EVENT_PAYLOAD,
        Computed("ops.canonical_address(ip)", persisted=True),
        null=True,
    ),
    column(
        "position",
        UUID(),
        "Kafka coordinate (topic id, partition, offset) in one value: the order of rows of equal times",
        "raw.events.kafka_topic_id raw.events.kafka_partition raw.events.kafka_offset",
        server_default=func.gen_random_uuid(),
    ),
    PrimaryKeyConstraint("occurred_at", "event_id"),
)
# What the flags are looked up by; each in the order of the rows.
_AUDIT = _TABLE.c
_IN_ORDER = (_AUDIT.occurred_at, _AUDIT.position)
Index("login_audit_user_id_idx", _AUDIT.user_id, _AUDIT.action, *_IN_ORDER)
Index("login_audit_user_id_address_idx", _AUDIT.user_id, _AUDIT.address, _AUDIT.action, *_IN_ORDER)
Index(
    "login_audit_user_id_device_idx",
    _AUDIT.user_id,
    _AUDIT.device,
    *_IN_ORDER,
    postgresql_where=_AUDIT.device.is_not(None),
)
Index("login_audit_address_idx", _AUDIT.address, _AUDIT.action, *_IN_ORDER)
# For analysts, and for the release before this one, which counts by the text.
Index("login_audit_ip_idx", _AUDIT.ip, _AUDIT.action, _AUDIT.occurred_at)

DECLARED = Aggregate(
    _TABLE,
    grain="event",
    time_column="occurred_at",
    preview=PreviewSpec("occurred_at desc, event_id"),
    group="security",
)
