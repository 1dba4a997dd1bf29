"""Helper rows of the aggregates, in schema `ops`: what makes a refresh cost what arrived and not what is stored.

What belongs here: rows per user and day, and what is counted over them. What does not: what analysts read.
"""

from sqlalchemy import BigInteger, Date, Index, SmallInteger, Table, Text, text

from infra.postgres.tables.model import TIME, column, key, metadata

_ZERO = text("0")

user_days = Table(
    "user_days",
    metadata,
    key("user_id", Text, "The user"),
    key("day", Date, "The day, UTC"),
    column("events", BigInteger, "Events of any type"),
    column("logins", BigInteger, "login events", server_default=_ZERO),
    column("page_views", BigInteger, "page_view events", server_default=_ZERO),
    column("button_clicks", BigInteger, "button_click events", server_default=_ZERO),
    column("form_submits", BigInteger, "form_submit events", server_default=_ZERO),
    column("first_at", TIME, "First event of the day"),
    column("last_at", TIME, "Last event of the day"),
    column("funnel_steps", SmallInteger, "How many steps of the funnel were taken in order", server_default=_ZERO),
    schema="ops",
    comment="One row a user and day with any event. Profiles, active users, retention and funnel are counted over it.",
)
Index("user_days_day_idx", user_days.c.day)

user_day_traits = Table(
    "user_day_traits",
    metadata,
    key("user_id", Text, "The user"),
    key("day", Date, "The day, UTC"),
    key("kind", Text, "device or ip"),
    key("value", Text, "The device or address"),
    column("events", BigInteger, "Events of the user on that day that name it"),
    schema="ops",
    comment="How often each user came with which device and address on which day.",
)

user_traits = Table(
    "user_traits",
    metadata,
    key("user_id", Text, "The user"),
    key("kind", Text, "device or ip"),
    key("value", Text, "The device or address"),
    column("events", BigInteger, "Events of the user that name it"),
    schema="ops",
    comment="How often each user came with which device and address: the sums of user_day_traits.",
)
Index("user_traits_usual_idx", user_traits.c.user_id, user_traits.c.kind, user_traits.c.events)

active_days = Table(
    "active_days",
    metadata,
    key("day", Date, "The day, UTC; up to 27 days after the last event"),
    column("dau", BigInteger, "Users with any event on the day", server_default=_ZERO),
    column("wau", BigInteger, "Users with any event in the 7 days that end with it", server_default=_ZERO),
    column("mau", BigInteger, "Users with any event in the 28 days that end with it", server_default=_ZERO),
    column("new_users", BigInteger, "Users whose first event is on the day", server_default=_ZERO),
    schema="ops",
    comment="What active_users_daily is made of, the days to come included.",
)
