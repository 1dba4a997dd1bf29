"""Profiles: one row a user, over all time (`rollups`)."""

from sqlalchemy import Index, Text

from assets.aggregates.declare import EVENT_PAYLOAD, Aggregate, PreviewSpec, column, key, measure, table
from infra.postgres.tables.model import TIME

_DAYS = "ops.user_days"

_TABLE = table(
    "user_profiles",
    "One row a user, over all time.",
    key("user_id", Text, "The user", f"{_DAYS}.user_id"),
    column("first_seen_at", TIME, "First event ever", f"{_DAYS}.first_at"),
    column("last_seen_at", TIME, "Last event", f"{_DAYS}.last_at"),
    measure("events", "Events of any type", f"{_DAYS}.events"),
    measure("logins", "login events", f"{_DAYS}.logins"),
    measure("page_views", "page_view events", f"{_DAYS}.page_views"),
    measure("button_clicks", "button_click events", f"{_DAYS}.button_clicks"),
    measure("form_submits", "form_submit events", f"{_DAYS}.form_submits"),
    measure("sessions", "Sessions", "analytics.sessions.session_id"),
    column(
        "usual_device",
        Text,
        "Device of most events that name one; among equals the first by bytes",
        EVENT_PAYLOAD,
        null=True,
    ),
    column(
        "usual_ip",
        Text,
        "Canonical address of most events that name one; of equals the first by bytes",
        EVENT_PAYLOAD,
        null=True,
    ),
)
Index("user_profiles_first_seen_at_idx", _TABLE.c.first_seen_at)

DECLARED = Aggregate(
    _TABLE,
    grain="user",
    time_column="last_seen_at",
    # No index gives the newest profiles: those of the newest sessions' users stand for them.
    preview=PreviewSpec(
        "last_seen_at desc",
        rows="user_id in (select user_id from analytics.sessions order by started_at desc limit 10)",
    ),
    group="users",
)
