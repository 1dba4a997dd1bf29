"""Events by minute and type: kept by the ingest itself, in the transaction that stores them (`assets.ingest`)."""

from datetime import timedelta

from sqlalchemy import Index

from assets.aggregates.declare import (
    EVENT_ID,
    EVENT_TIME,
    EVENT_TYPE,
    Aggregate,
    PreviewSpec,
    dimension,
    key,
    measure,
    table,
)
from infra.postgres.tables.model import TIME

_TABLE = table(
    "events_minutely",
    "Events by minute and type, kept in the transaction that stores the events.",
    key("minute", TIME, "Start of the minute, UTC", EVENT_TIME),
    dimension("type", "Event type", EVENT_TYPE),
    measure("events", "Events that occurred in that minute", EVENT_ID),
    rebuilt=False,
)
Index("events_minutely_type_minute_idx", _TABLE.c.type, _TABLE.c.minute)

DECLARED = Aggregate(
    _TABLE,
    grain="minute",
    time_column="minute",
    preview=PreviewSpec("minute desc, type", measure="events", step=timedelta(minutes=1), points=60),
)
