"""Logins by hour, counted over the login audit (`assets.aggregates.login_audit`)."""

from assets.aggregates.declare import Aggregate, PreviewSpec, hour, measure, table

_AUDIT = "analytics.login_audit"

DECLARED = Aggregate(
    table(
        "logins_hourly",
        "Logins by hour.",
        hour(f"{_AUDIT}.occurred_at"),
        measure("logins", "Logins", f"{_AUDIT}.action"),
        measure("logouts", "Logouts", f"{_AUDIT}.action"),
        measure("users", "Distinct users among both", f"{_AUDIT}.user_id"),
        measure("addresses", "Distinct addresses among both", f"{_AUDIT}.address"),
        measure("flagged", "Logins and logouts with at least one flag", f"{_AUDIT}.flags"),
    ),
    grain="hour",
    time_column="hour",
    preview=PreviewSpec("hour desc", measure="logins + logouts"),
    group="security",
)
