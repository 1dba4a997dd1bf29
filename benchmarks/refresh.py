"""What a refresh costs: of many events into a full and an empty hour, of one into a long session, of a login flood.

What belongs here: the timings, their ratios, and bytes an event. What does not: the events (`arrivals`), one late event
into tables of two sizes and backfills (`aggregates`).
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from assets.aggregates.writer import AggregateWriter
from benchmarks import filled
from benchmarks.arrivals import Arrival
from benchmarks.filled import DAY
from benchmarks.footprint import OF_AGGREGATES, WAL, table_bytes
from benchmarks.plain import plain_seconds
from resources.postgres import Connection, Postgres

_HOUR = timedelta(hours=1)
_ROUNDS, _ONES = 3, 11
_USERS, _FLOODED = 20_000, 10


class _Took(NamedTuple):
    """Seconds of a refresh, and the bytes an event that it left in the WAL and in the tables."""

    seconds: float
    wal: float
    state: float


def measure(held: int, new: int) -> None:
    """Print them.

    Args:
        held: events in the full hour; a tenth of it in the long session.
        new: events that are taken in; a fifth of it are the logins of a flood.
    """
    with filled.databases("hour", "session", "flood") as (hour, session, flood):
        _into_an_hour(hour, held, new)
        _into_a_session(session, held // 10)
        _login_flood(flood, new // 5)


def _into_an_hour(postgres: Postgres, held: int, new: int) -> None:
    """In turn into the full hour, in order and late, and into empty ones; the first round is for the caches."""
    full = filled.today() + 12 * _HOUR
    of_hour, late = timedelta(minutes=50), timedelta(minutes=45)
    places: dict[str, Callable[[int], Arrival]] = {
        "full": lambda n: Arrival(new, full + of_hour + n * timedelta(minutes=2), timedelta(minutes=2), _USERS),
        "late": lambda n: Arrival(new, full + n * timedelta(seconds=1), late, _USERS),
        "empty": lambda n: Arrival(new, full + (n + 1) * DAY, timedelta(minutes=2), _USERS),
    }
    took: dict[str, list[_Took]] = {place: [] for place in places}
    with postgres.connect("bench") as connection, contextlib.closing(AggregateWriter(postgres)) as aggregates:
        Arrival(held, full, of_hour, _USERS).store(connection)
        aggregates.refresh()  # as an hour fills; one that was rebuilt does not know who is counted
        connection.execute("vacuum analyze")
        for number in range(_ROUNDS + 1):
            for place, arrival in places.items():
                arrival(number).store(connection)
                took[place].append(_refresh(connection, aggregates, new))
        low = full + DAY
        plain = plain_seconds(connection, {"low": low, "high": low + _HOUR})
    _print_hours(held, new, {place: _median(found[1:]) for place, found in took.items()}, sum(plain.values()))


def _print_hours(held: int, new: int, took: dict[str, _Took], plain: float) -> None:
    full, empty = took["full"], took["empty"]
    places = {
        "full": f"into an hour of {held:,} events",
        "late": "the same, anywhere in it",
        "empty": "into an empty hour",
    }
    print(f"  {new:,} events of {_USERS:,} users, all tables, medians of {_ROUNDS}:")
    for place, (seconds, wal, state) in took.items():
        rate = f"{seconds:6.2f} s   {new / seconds:8,.0f} events/s"
        print(f"    {places[place]:34}{rate}   bytes an event: WAL {wal:.0f}, tables {state:.0f}")
    print(f"    full hour to empty hour: ratio {full.seconds / empty.seconds:.2f} (target at most 1.30)")
    against = f"{plain:.2f} s: ratio {plain / full.seconds:.2f} (target at least 0.50)"
    print(f"    plain statements over as many events into empty tables: {against}")


def _into_a_session(postgres: Postgres, events: int) -> None:
    """One more event for a user with many events in one open session, and for one with a hundredth of them."""
    start, took = filled.today(), ([0.0], [0.0])
    step = timedelta(hours=5) / events
    with postgres.connect("bench") as connection, contextlib.closing(AggregateWriter(postgres)) as aggregates:
        for size, nth in ((events // 100, 0), (events, 1)):
            Arrival(size, start + nth * DAY, size * step, 1, "page_view").store(connection)
        aggregates.refresh()
        connection.execute("vacuum analyze")
        for number in range(_ONES + 1):
            for size, nth, seconds in ((events // 100, 0, took[0]), (events, 1, took[1])):
                at = start + nth * DAY + size * step + number * timedelta(seconds=1)
                Arrival(1, at, timedelta(milliseconds=1), 1, "page_view").store(connection)
                seconds.append(_refresh(connection, aggregates, 1).seconds)
    short, long = (statistics.median(seconds[2:]) for seconds in took)
    print(
        f"  one more event for a user with {events // 100:,} and with {events:,} events in one session: "
        f"{1000 * short:.0f} ms and {1000 * long:.0f} ms   ratio {long / short:.2f}"
    )


def _login_flood(postgres: Postgres, logins: int) -> None:
    """Logins of as many users into a few addresses within an hour, half as many first; then as many late ones."""
    start = filled.today() + 12 * _HOUR
    with postgres.connect("bench") as connection, contextlib.closing(AggregateWriter(postgres)) as aggregates:
        seconds: list[float] = []
        for size, day in ((logins // 2, 0), (logins, 1), (logins, 1)):
            flood = Arrival(size, start + day * DAY, _HOUR, size, "login", _FLOODED, in_turn=True)
            flood.store(connection)
            seconds.append(_refresh(connection, aggregates, size).seconds)
    half, whole, again = seconds
    print(
        f"  login flood into {_FLOODED} addresses: {logins // 2:,} logins {half:.2f} s, {logins:,} {whole:.2f} s "
        f"(target at most 2 s for 20,000), as many again between them {again:.2f} s"
    )


def _refresh(connection: Connection, aggregates: AggregateWriter, events: int) -> _Took:
    """Take in what waits.

    Raises:
        RuntimeError: it was something else.
    """
    [[wal]], size = connection.execute(WAL).fetchall(), sum(table_bytes(connection, *OF_AGGREGATES))
    began = time.perf_counter()
    done = aggregates.refresh()
    seconds = time.perf_counter() - began
    if done.events != events:
        raise RuntimeError(f"{done.events} events were taken in instead of {events}: this measures nothing")
    [[after]], grown = connection.execute(WAL).fetchall(), sum(table_bytes(connection, *OF_AGGREGATES)) - size
    return _Took(seconds, (after - wal) / events, grown / events)


def _median(took: Sequence[_Took]) -> _Took:
    return _Took(*(statistics.median(each) for each in zip(*took, strict=True)))
