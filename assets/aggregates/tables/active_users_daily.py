"""Active users by day, week and month (`rollups`)."""

from datetime import timedelta

from sqlalchemy import Date, Double

from assets.aggregates.declare import Aggregate, PreviewSpec, column, key, measure, table

_USER_DAY = "ops.user_days.user_id ops.user_days.day"

DECLARED = Aggregate(
    table(
        "active_users_daily",
        "Active users by day. A day without any event has no row.",
        key("day", Date, "The day, UTC", "ops.user_days.day"),
        measure("dau", "Users with any event on the day", _USER_DAY),
        measure("wau", "Users with any event in the 7 days that end with it", _USER_DAY),
        measure("mau", "Users with any event in the 28 days that end with it", _USER_DAY),
        measure("new_users", "Users whose first event ever is on the day", _USER_DAY),
        measure("returning_users", "dau - new_users", _USER_DAY),
        column("stickiness", Double, "dau / mau", _USER_DAY),
    ),
    grain="day",
    time_column="day",
    preview=PreviewSpec("day desc", measure="dau", step=timedelta(days=1), points=28),
    group="users",
    beside=("analytics.user_profiles",),  # a user is new on the day of the profile's first event
    reach=28,
)
