"""An import of history: events spread evenly over ten years, nearly each in its own hour, taken in by one refresh.

What belongs here: how the time grows with the events. What does not: one late event, backfills (`aggregates`).
"""

import contextlib
import time

from assets.aggregates.writer import AggregateWriter
from benchmarks import filled
from resources.postgres import Postgres

_HISTORY = """
with event as (
    insert into raw.events (
        event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition, kafka_offset
    )
    select gen_random_uuid(), now() - interval '11 years' + n * interval '10 years' / %(events)s, 'page_view',
        'user-' || n %% 1000, jsonb_build_object('userId', 'user-' || n %% 1000, 'page', '/page/' || n %% 50),
        '00000000-0000-0000-0000-000000000001', 0, n
    from generate_series(1, %(events)s) as n
    returning *
)
insert into ops.dirty_buckets (hour, low, high, events, event_ids)
select date_trunc('hour', occurred_at, 'UTC'), min(occurred_at), max(occurred_at), count(*), array_agg(event_id)
from event group by 1
"""


def measure(events: int) -> None:
    """Print the events a second of a small and a ten times larger import; the same, where the cost is linear."""
    with filled.databases("small_import", "large_import") as (small, large):
        before, after = _rate(small, events // 10), _rate(large, events)
    print(
        f"  {events // 10:,} events over ten years {before:,.0f} events/s, {events:,} {after:,.0f} events/s   "
        f"ratio {after / before:.2f} (target at least 0.50)"
    )


def _rate(postgres: Postgres, events: int) -> float:
    with postgres.connect("bench") as connection:
        connection.execute(_HISTORY, {"events": events})
    with contextlib.closing(AggregateWriter(postgres)) as aggregates:
        began = time.perf_counter()
        done = aggregates.refresh()
        return done.events / (time.perf_counter() - began)
