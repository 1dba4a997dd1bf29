"""Submits by hour and form."""

from assets.aggregates.declare import counted_by_hour, dimension, measure

DECLARED = counted_by_hour(
    "forms_hourly",
    "Submits and distinct users by hour and form.",
    dimension("form_id", "payload.formId"),
    count=measure("submits", "Submits"),
)
