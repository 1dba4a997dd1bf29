"""Retention: how many of the users of one week came back in which weeks (`rollups`)."""

from sqlalchemy import Date

from assets.aggregates.declare import Aggregate, PreviewSpec, key, measure, table

_USER_DAY = "ops.user_days.user_id ops.user_days.day"

DECLARED = Aggregate(
    table(
        "retention_weekly",
        "Retention by cohort. A week in which nobody of the cohort came has no row.",
        key("cohort_week", Date, "Monday of the ISO week of the users' first event, UTC", _USER_DAY),
        key("week", Date, "Monday of the ISO week looked at, UTC", _USER_DAY),
        measure("users", "Users of the cohort", _USER_DAY),
        measure("retained", "Those of them with any event in that week", _USER_DAY),
    ),
    grain="week",
    time_column="week",
    preview=PreviewSpec("cohort_week desc, week desc"),
    group="users",
    beside=("analytics.user_profiles",),  # a user belongs to the week of the profile's first event
)
