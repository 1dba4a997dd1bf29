"""The funnel of each day (`rollups`, `funnel`); which steps it has is in funnel.toml."""

from sqlalchemy import Date, Integer, Text

from assets.aggregates.declare import Aggregate, PreviewSpec, column, key, measure, table

_STEPS = "ops.user_days.funnel_steps"

DECLARED = Aggregate(
    table(
        "funnel_daily",
        "The funnel of each day that has events, a row a step.",
        key("day", Date, "The day, UTC", "ops.user_days.day"),
        key("step", Integer, "Number of the step, from 1", _STEPS),
        column("name", Text, "Name of the step", _STEPS),
        measure(
            "users",
            "Users who took this step after all steps before it, or at their time, within the day",
            f"ops.user_days.user_id {_STEPS}",
        ),
        column(
            "definition",
            Text,
            "Digest of the funnel that the row was made by; null: of an earlier release",
            _STEPS,
            null=True,
        ),
    ),
    grain="day",
    time_column="day",
    preview=PreviewSpec("day desc, step"),
    group="users",
)
