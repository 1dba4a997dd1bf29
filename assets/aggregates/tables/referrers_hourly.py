"""Page views by hour and referrer."""

from assets.aggregates.declare import counted_by_hour, dimension, measure

DECLARED = counted_by_hour(
    "referrers_hourly",
    "Page views and distinct visitors by hour and referrer.",
    dimension("referrer", "payload.referrer of page views; empty for direct traffic (empty, null or missing)"),
    count=measure("views", "Page views"),
)
