"""What stored events touch beside themselves: the counts of their minutes, and marks on their hours.

What belongs here: both, made from the rows that were really inserted and in the transaction that inserted them. What
does not: what becomes of the marks (`assets.aggregates`).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pandas as pd

from assets.ingest import frame as frames
from assets.ingest.model import Outcome
from assets.ingest.sql import statement
from resources.postgres import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = 3_600 * 1_000_000


def stored_rows(frame: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Those rows of the chunk's frame that were inserted, in the order of the key."""
    return frame if outcome.path == "copy" else frame[frame["position"].isin(outcome.stored)]


def count_minutes(connection: Connection, stored: pd.DataFrame) -> Mapping[str, int]:
    """Add the events to analytics.events_minutely, in the order of its key; returns how many of each type."""
    if stored.empty:
        return {}
    counts = frames.counts_by_minute(stored)
    connection.execute(
        statement("count_minutes"),
        {
            "minutes": [_time(minute) for minute, _ in counts],
            "types": [kind for _, kind in counts],
            "events": list(counts.values()),
        },
    )
    types = Counter[str]()
    for (_, kind), events in counts.items():
        types[kind] += events
    return types


def mark_hours(connection: Connection, stored: pd.DataFrame, batch_id: int, *, by_offsets: bool) -> None:
    """Write a mark for each hour, so that the aggregates take these events in, and no other, and each once.

    Args:
        connection: in the transaction that inserted the events.
        stored: the inserted rows, in the order of the key.
        batch_id: of the ledger.
        by_offsets: whether every event that stands in raw.events with an offset of this batch was inserted by it. Else
            the mark lists the events.
    """
    if stored.empty:
        return
    times = stored["occurred_at"].to_numpy()
    hours, firsts = np.unique(times // _HOUR, return_index=True)
    ends = [*firsts[1:].tolist(), len(times)]
    ids = None if by_offsets else stored["event_id"].tolist()
    with connection.cursor() as cursor:
        cursor.executemany(
            statement("mark_hour"),
            [
                {
                    "hour": _time(hour * _HOUR),
                    "low": _time(int(times[first])),
                    "high": _time(int(times[end - 1])),
                    "events": end - first,
                    "batch_id": batch_id if ids is None else None,
                    "event_ids": None if ids is None else [UUID(bytes=i) for i in ids[first:end]],
                }
                for hour, first, end in zip(hours.tolist(), firsts.tolist(), ends, strict=True)
            ],
        )


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
