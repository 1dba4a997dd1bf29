"""Events and distinct users by hour and type."""

from assets.aggregates.declare import EVENT_ID, EVENT_TYPE, PreviewSpec, counted_by_hour, dimension, measure

DECLARED = counted_by_hour(
    "events_hourly",
    "Events and distinct users by hour and type.",
    dimension("type", "Event type", EVENT_TYPE),
    count=measure("events", "Events that occurred in that hour", EVENT_ID),
    preview=PreviewSpec("hour desc, type", measure="events"),
)
