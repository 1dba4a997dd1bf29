"""Helper rows of the aggregates, in schema `ops`: what makes a refresh cost what arrived and not what is stored.

What belongs here: what is counted beside the rows per user and day. What does not: aggregates, those rows among them:
each is declared in `assets.aggregates.tables`.
"""

from sqlalchemy import BigInteger, Date, Table, Text, text
from sqlalchemy.dialects.postgresql import UUID

from infra.postgres.tables.model import column, key, metadata

_ZERO = text("0")

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

day_members = Table(
    "day_members",
    metadata,
    key("day", Date, "The day, UTC"),
    key("name", Text, "The table, without its schema"),
    key("member", UUID(), "Digest of the table's key and the user"),
    column("events", BigInteger, "How many events of the user count there"),
    schema="ops",
    comment="Who is counted in the tables that count facts by day, of days that are not behind the retention frontier.",
)
