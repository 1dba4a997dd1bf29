"""The aggregates: what a late event costs in a small and a large table, and a backfill against plain statements.

What belongs here: the timings and their ratios. What does not: the events (`filled`), the plain statements (`plain`).
"""

import contextlib
import random
import statistics
import time
from collections.abc import Collection
from datetime import datetime, timedelta

from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.writer import AggregateWriter
from benchmarks import filled
from benchmarks.filled import DAY
from benchmarks.plain import plain_seconds
from resources.postgres import Connection, Postgres

_DAYS = 30
_SMALL = 3  # the small table holds a tenth of the days, each as full as in the large one
_COLD, _ROUNDS = 5, 21
_SINGLY = ("events_hourly", "pages_hourly", "referrers_hourly", "buttons_hourly", "forms_hourly", "sessions")
_LATE = """
with event as (
    insert into raw.events (
        event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition, kafka_offset
    )
    select gen_random_uuid(), %(at)s, 'page_view', u, jsonb_build_object('userId', u, 'page', '/page/1'),
    '00000000-0000-0000-0000-000000000001', 0, -1 from (select %(user)s::text as u) as x
    returning *
), minute as (
    insert into analytics.events_minutely as m (minute, type, events)
    select date_trunc('minute', occurred_at, 'UTC'), type, 1 from event
    on conflict (minute, type) do update set events = m.events + 1
)
insert into ops.dirty_buckets (hour, low, high, events, event_ids)
select date_trunc('hour', occurred_at, 'UTC'), occurred_at, occurred_at, 1, array[event_id] from event
"""


def measure(events: int, what: Collection[str]) -> None:
    """Print the ratios of `what`: refresh, backfill or both.

    Args:
        events: in the large table; in the small one a tenth.
        what: which measurements to print.
    """
    first = filled.today()
    with filled.databases("small", "large") as (small, large):
        rebuilt = _filled(large, first, _DAYS, events)
        if "refresh" in what:
            fewer = events * _SMALL // _DAYS
            _filled(small, first, _SMALL, fewer)
            _late_events(small, large, first, f"{fewer:,} to {events:,} rows")
        if "backfill" in what:
            _against_plain(large, rebuilt, first)


def _filled(postgres: Postgres, first: datetime, days: int, events: int) -> float:
    """Fill a database and build its aggregates; seconds of the latter."""
    with postgres.connect("bench") as connection, contextlib.closing(AggregateWriter(postgres)) as aggregates:
        filled.fill(connection, first, days, events)
        seconds = aggregates.rebuild(first, first + days * DAY).seconds
        connection.execute("vacuum analyze")
    return seconds


def _late_events(small: Postgres, large: Postgres, first: datetime, what: str) -> None:
    """Refreshes with one event each, of any user, into the second day; in turn, as the machine's speed wanders."""
    chance, took = random.Random(0), ([0.0], [0.0])
    with contextlib.closing(AggregateWriter(small)) as one, contextlib.closing(AggregateWriter(large)) as other:
        for turn in range(_COLD + _ROUNDS):
            late = {"at": first + DAY + timedelta(seconds=chance.uniform(0, 86_000)), "user": f"user-{turn}"}
            for aggregates, seconds in ((one, took[0]), (other, took[1])):
                with aggregates.postgres.connect("bench") as connection:
                    connection.execute(_LATE, late)
                began = time.perf_counter()
                aggregates.refresh()
                seconds.append(time.perf_counter() - began)
    before, after = (statistics.median(seconds[_COLD + 1 :]) for seconds in took)
    print(
        f"  one late event, {what}: {1000 * before:.0f} ms to {1000 * after:.0f} ms   "
        f"ratio {after / before:.2f} (target at most 1.20 and 40 ms; medians of {_ROUNDS})"
    )


def _against_plain(postgres: Postgres, rebuilt: float, first: datetime) -> None:
    bounds = {"low": first, "high": first + _DAYS * DAY}
    with postgres.connect("bench") as connection, contextlib.closing(AggregateWriter(postgres)) as aggregates:
        found = connection.execute(
            "select count(*) from raw.events where occurred_at >= %(low)s and occurred_at < %(high)s", bounds
        ).fetchone()
        events = found[0] if found else 0
        plain = plain_seconds(connection, bounds)
        for name in _SINGLY:
            _empty(connection, name)
            seconds = aggregates.rebuild(bounds["low"], bounds["high"], [name]).seconds
            _print(name, events, plain[name], seconds)
        _print("all tables", events, sum(plain.values()), rebuilt, " (target at least 0.80)")


def _empty(connection: Connection, name: str) -> None:
    connection.execute(f"truncate {AGGREGATES[name].table}; checkpoint".encode())


def _print(name: str, events: int, plain: float, rebuilt: float, target: str = "") -> None:
    print(
        f"  {name:18} plain {events / plain:10,.0f} rows/s   backfill {events / rebuilt:10,.0f} rows/s   "
        f"ratio {plain / rebuilt:.2f}{target}"
    )
