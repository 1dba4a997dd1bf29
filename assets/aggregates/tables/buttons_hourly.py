"""Clicks by hour, button and page."""

from assets.aggregates.declare import counted_by_hour, dimension, measure

DECLARED = counted_by_hour(
    "buttons_hourly",
    "Clicks and distinct users by hour, button and page.",
    dimension("button_id", "payload.buttonId"),
    dimension("page", "payload.page: where it was clicked"),
    count=measure("clicks", "Clicks"),
)
