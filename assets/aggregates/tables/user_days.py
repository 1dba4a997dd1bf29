"""Helper rows per user and day: what profiles, active users, retention and funnel are counted over."""

from sqlalchemy import BigInteger, Date, Index, Integer, SmallInteger, Text, text

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

_ZERO = text("0")

_TABLE = table(
    "user_days",
    "One row a user and day with any event. Profiles, active users, retention and funnel are counted over it.",
    key("user_id", Text, "The user", EVENT_USER),
    key("day", Date, "The day, UTC", EVENT_TIME),
    column("events", BigInteger, "Events of any type", EVENT_ID),
    column("logins", BigInteger, "login events", EVENT_TYPE, server_default=_ZERO),
    column("page_views", BigInteger, "page_view events", EVENT_TYPE, server_default=_ZERO),
    column("button_clicks", BigInteger, "button_click events", EVENT_TYPE, server_default=_ZERO),
    column("form_submits", BigInteger, "form_submit events", EVENT_TYPE, server_default=_ZERO),
    column("first_at", TIME, "First event of the day", EVENT_TIME),
    column("last_at", TIME, "Last event of the day", EVENT_TIME),
    column(
        "funnel_steps",
        SmallInteger,
        "How many steps of the funnel were taken in order",
        f"{EVENT_TYPE} {EVENT_TIME} {EVENT_PAYLOAD}",
        server_default=_ZERO,
    ),
    column(
        "funnel_at",
        TIME,
        "What comes after it on this day changes none of these steps; null: not known",
        f"{EVENT_TYPE} {EVENT_TIME} {EVENT_PAYLOAD}",
        null=True,
    ),
    column(
        "funnel_key",
        Integer,
        "Digest of the funnel, plus funnel_steps, when funnel_at was noted; another one: it is out of date",
        f"{EVENT_TYPE} {EVENT_TIME} {EVENT_PAYLOAD}",
        null=True,
    ),
    schema="ops",
)
Index("user_days_day_idx", _TABLE.c.day)

DECLARED = Aggregate(_TABLE, grain="day", time_column="day", preview=PreviewSpec("day desc"), group="users")
