"""Page views by hour and page."""

from assets.aggregates.declare import counted_by_hour, dimension, measure

DECLARED = counted_by_hour(
    "pages_hourly",
    "Page views and distinct visitors by hour and page.",
    dimension("page", "payload.page of page views"),
    count=measure("views", "Page views"),
)
