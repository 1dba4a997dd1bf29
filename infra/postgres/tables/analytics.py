"""Schema `analytics`: what analysts read. A comment on every table and column; all times are UTC.

What belongs here: the tables. What does not: the views, which follow from the event types (`infra.postgres.views`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Computed,
    Date,
    Double,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from infra.postgres.tables.model import TIME, column, key, metadata

_HOUR = "Start of the hour, UTC"
_USERS = "Distinct users"

events_minutely = Table(
    "events_minutely",
    metadata,
    column("minute", TIME, "Start of the minute, UTC", primary_key=True),
    column("type", Text, "Event type", primary_key=True),
    column("events", BigInteger, "Events that occurred in that minute"),
    schema="analytics",
    comment="Events by minute and type, kept in the transaction that stores the events.",
)
Index("events_minutely_type_minute_idx", events_minutely.c.type, events_minutely.c.minute)

events_hourly = Table(
    "events_hourly",
    metadata,
    key("hour", TIME, _HOUR),
    key("type", Text, "Event type"),
    column("events", BigInteger, "Events that occurred in that hour"),
    column("users", BigInteger, _USERS),
    schema="analytics",
    comment="Events and distinct users by hour and type.",
)

pages_hourly = Table(
    "pages_hourly",
    metadata,
    key("hour", TIME, _HOUR),
    key("page", Text, "payload.page of page views"),
    column("views", BigInteger, "Page views"),
    column("users", BigInteger, _USERS),
    schema="analytics",
    comment="Page views and distinct visitors by hour and page.",
)

referrers_hourly = Table(
    "referrers_hourly",
    metadata,
    key("hour", TIME, _HOUR),
    key("referrer", Text, "payload.referrer of page views; empty for direct traffic (empty, null or missing)"),
    column("views", BigInteger, "Page views"),
    column("users", BigInteger, _USERS),
    schema="analytics",
    comment="Page views and distinct visitors by hour and referrer.",
)

buttons_hourly = Table(
    "buttons_hourly",
    metadata,
    key("hour", TIME, _HOUR),
    key("button_id", Text, "payload.buttonId"),
    key("page", Text, "payload.page: where it was clicked"),
    column("clicks", BigInteger, "Clicks"),
    column("users", BigInteger, _USERS),
    schema="analytics",
    comment="Clicks and distinct users by hour, button and page.",
)

forms_hourly = Table(
    "forms_hourly",
    metadata,
    key("hour", TIME, _HOUR),
    key("form_id", Text, "payload.formId"),
    column("submits", BigInteger, "Submits"),
    column("users", BigInteger, _USERS),
    schema="analytics",
    comment="Submits and distinct users by hour and form.",
)

active_users_daily = Table(
    "active_users_daily",
    metadata,
    key("day", Date, "The day, UTC"),
    column("dau", BigInteger, "Users with any event on the day"),
    column("wau", BigInteger, "Users with any event in the 7 days that end with it"),
    column("mau", BigInteger, "Users with any event in the 28 days that end with it"),
    column("new_users", BigInteger, "Users whose first event ever is on the day"),
    column("returning_users", BigInteger, "dau - new_users"),
    column("stickiness", Double, "dau / mau"),
    schema="analytics",
    comment="Active users by day. A day without any event has no row.",
)

sessions = Table(
    "sessions",
    metadata,
    key("session_id", UUID(), "Depends on the user and the start alone"),
    column("user_id", Text, "The user"),
    column("started_at", TIME, "First event"),
    column("ended_at", TIME, "Last event"),
    column("events", BigInteger, "Events"),
    column("page_views", BigInteger, "Page views among them"),
    column("entry_page", Text, "Page of the first page view; of one time, by place in Kafka", null=True),
    column("exit_page", Text, "Page of the last page view; of one time, by place in Kafka", null=True),
    column("bounced", Boolean, "One page view and no other event; false for sessions without a page view"),
    schema="analytics",
    comment="A user's events in time order; a gap of more than 30 minutes begins a new session.",
)
Index("sessions_user_id_started_at_idx", sessions.c.user_id, sessions.c.started_at)
Index("sessions_started_at_idx", sessions.c.started_at)

user_profiles = Table(
    "user_profiles",
    metadata,
    key("user_id", Text, "The user"),
    column("first_seen_at", TIME, "First event ever"),
    column("last_seen_at", TIME, "Last event"),
    column("events", BigInteger, "Events of any type"),
    column("logins", BigInteger, "login events"),
    column("page_views", BigInteger, "page_view events"),
    column("button_clicks", BigInteger, "button_click events"),
    column("form_submits", BigInteger, "form_submit events"),
    column("sessions", BigInteger, "Sessions"),
    column("usual_device", Text, "Device of most events that name one; among equals the first by bytes", null=True),
    column("usual_ip", Text, "Canonical address of most events that name one; of equals the first by bytes", null=True),
    schema="analytics",
    comment="One row a user, over all time.",
)

Index("user_profiles_first_seen_at_idx", user_profiles.c.first_seen_at)

retention_weekly = Table(
    "retention_weekly",
    metadata,
    key("cohort_week", Date, "Monday of the ISO week of the users' first event, UTC"),
    key("week", Date, "Monday of the ISO week looked at, UTC"),
    column("users", BigInteger, "Users of the cohort"),
    column("retained", BigInteger, "Those of them with any event in that week"),
    schema="analytics",
    comment="Retention by cohort. A week in which nobody of the cohort came has no row.",
)

funnel_daily = Table(
    "funnel_daily",
    metadata,
    key("day", Date, "The day, UTC"),
    key("step", Integer, "Number of the step, from 1"),
    column("name", Text, "Name of the step"),
    column(
        "users",
        BigInteger,
        "Users who took this step after all steps before it, or at their time, within the day",
    ),
    column("definition", Text, "Digest of the funnel that the row was made by; null: of an earlier release", null=True),
    schema="analytics",
    comment="The funnel of each day that has events, a row a step.",
)

login_audit = Table(
    "login_audit",
    metadata,
    column("event_id", UUID(), "The event"),
    column("occurred_at", TIME, "When it happened"),
    column("user_id", Text, "The user"),
    column("action", Text, "login or logout"),
    column("ip", Text, "The address, as it was sent", null=True),
    column("device", Text, "The device; logouts have none", null=True),
    column("flags", ARRAY(Text), "What is unusual about it, in alphabetical order; see docs/analysts.md"),
    column(
        "address",
        Text,
        "The address in its one canonical spelling, IPv4-mapped IPv6 as IPv4: what flags and counts compare",
        Computed("ops.canonical_address(ip)", persisted=True),
        null=True,
    ),
    column(
        "position",
        UUID(),
        "Place in Kafka (topic id, partition, offset) in one value: the order of rows of one time",
        server_default=func.gen_random_uuid(),
    ),
    PrimaryKeyConstraint("occurred_at", "event_id"),
    schema="analytics",
    comment="Every login and logout, with what is unusual about it.",
)
# What the flags are looked up by; each in the order of the rows.
_AUDIT = login_audit.c
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

logins_hourly = Table(
    "logins_hourly",
    metadata,
    key("hour", TIME, _HOUR),
    column("logins", BigInteger, "Logins"),
    column("logouts", BigInteger, "Logouts"),
    column("users", BigInteger, "Distinct users among both"),
    column("addresses", BigInteger, "Distinct addresses among both"),
    column("flagged", BigInteger, "Logins and logouts with at least one flag"),
    schema="analytics",
    comment="Logins by hour.",
)
