"""Ingest of a backlog through real Dagster runs, against COPY of the same rows, ready-made, into the same table.

What belongs here: the timings, their ratio, processor time by program, and the share of each step; the same with the
aggregates at work beside, and on a table that holds many rows already. Rates and limits are taken several times in
turn, because the machine's speed wanders; the medians are compared.
"""

import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from assets.ingest.partitions import Partitions
from benchmarks import processor
from benchmarks.rig import Rig

_COLUMNS = (
    "event_id, occurred_at, type, user_id, payload, source_event_id, kafka_topic_id, kafka_partition, kafka_offset"
)
_ORDERED = f"select {_COLUMNS} from raw.events order by occurred_at, event_id"  # noqa: S608
_READ = f"copy ({_ORDERED}) to stdout (format binary)"
_WRITE = f"copy raw.events ({_COLUMNS}) from stdin (format binary)"
_BLOCK = 128 * 1024
_RUN_SECONDS = """
select
    extract(epoch from max(b.committed_at) - min(r.create_timestamp at time zone 'utc'))::float,
    extract(epoch from min(b.committed_at) - min(r.create_timestamp at time zone 'utc'))::float,
    count(distinct r.run_id)
from ops.batches as b inner join dagster.runs as r on r.run_id = b.run_id where b.batch_id > %s and b.records > 0
"""
_STEPS = """
select sum(pull_seconds), sum(decode_seconds), sum(claim_seconds), sum(frame_seconds), sum(store_seconds)
from ops.batches where batch_id > %s
"""
_EMPTY = "truncate raw.events, ops.dirty_buckets, ops.taken_marks"
# As ingest leaves them: in the order of time, ids and users by chance; today's partition, as the backlog's.
_FILL = """
insert into raw.events (event_id, occurred_at, type, user_id, payload, kafka_topic_id, kafka_partition, kafka_offset)
select
    gen_random_uuid(), date_trunc('day', now(), 'UTC') + (now() - date_trunc('day', now(), 'UTC')) * n / %(rows)s,
    'page_view', 'user-' || floor(random() * 20000)::int,
    jsonb_build_object('userId', 'user', 'page', '/page/' || n %% 500), gen_random_uuid(), 0, n
from generate_series(%(first)s::bigint, %(last)s::bigint) as n
"""
_FILLED_AT_ONCE = 500_000


@dataclass(frozen=True)
class Ingested:
    """A backlog that was worked off."""

    rate: float
    first_commit: float
    """Seconds from the request of the first run."""
    text: str
    used: str
    """Microseconds of processor time an event, by program; without the daemon, whose start falls into it."""
    last: int
    """The batch before its first."""

    def running(self, events: int) -> float:
        """Events a second from the first commit on; a backlog of one commit has none."""
        seconds = events / self.rate - self.first_commit
        return events / seconds if seconds > 0 else self.rate


def measure(rig: Rig, events: int, rounds: int, duplicates: float) -> None:
    """Print the rates of every round without and with aggregates, the limit, the medians, and where the time went."""
    alone: list[Ingested] = []
    beside: list[Ingested] = []
    limits: list[float] = []
    steps = ""
    for number in range(1, rounds + 1):
        _run(rig, _EMPTY)
        with rig.without("worker-aggregates"):
            alone.append(ingest(rig, events, duplicates))
            steps = _steps(rig, alone[-1].last)
        beside.append(ingest(rig, events, duplicates))  # the aggregates have the first backlog to work off
        with rig.without("worker-aggregates"):
            limits.append(_limit(rig))
        print(f"  round {number}: alone    {alone[-1].text}")
        print(f"           limit   {limits[-1]:8,.0f} events/s   ratio {alone[-1].rate / limits[-1]:.2f}")
        print(f"           aggregates beside {beside[-1].text}")
    _print_medians(alone, beside, limits)
    print(f"  steps of the last round (pull and decode overlap the rest): {steps}")


def measure_flat(rig: Rig, events: int, rounds: int, rows: int, duplicates: float) -> None:
    """Print the rate with so many rows in today's partition over the rate with none."""
    rates: dict[int, list[float]] = {0: [], rows: []}
    with rig.without("worker-aggregates"):
        for held in rates:
            _run(rig, _EMPTY)
            _fill(rig, held)
            for _ in range(rounds):
                done = ingest(rig, events, duplicates)
                rates[held].append(done.rate)
                print(f"  {held:11,} rows: {done.text}")
    ratio = statistics.median(rates[rows]) / statistics.median(rates[0])
    print(f"  with {rows:,} rows to none, medians: ratio {ratio:.2f} (target at least 0.90)")


def ingest(rig: Rig, events: int, duplicates: float) -> Ingested:
    """Make a backlog, and let real runs work it off."""
    last = rig.one("select coalesce(max(batch_id), 0) from ops.batches")
    records = rig.one("select coalesce(sum(records), 0) from ops.batches")
    rig.backlog(events, duplicates)
    before = processor.by_program(rig)
    rig.wait_for_records(records + events)
    seconds = processor.used(rig, before)
    seconds.pop("daemon", None)
    used = processor.split(seconds, events)
    with rig.connect() as connection:
        took, first, runs = _row(connection, _RUN_SECONDS, last)
    runs = f"{runs} runs, first commit {first:.2f} s after the request"
    text = f"{events / took:8,.0f} events/s ({runs})   µs an event {used}"
    return Ingested(events / took, first, text, used, last)


def _limit(rig: Rig) -> float:
    with rig.connect() as connection:
        rows: int = rig.one("select count(*) from raw.events")
        return rows / _copy_again(connection)


def _print_medians(alone: list[Ingested], beside: list[Ingested], limits: list[float]) -> None:
    rate, limit = statistics.median(each.rate for each in alone), statistics.median(limits)
    ratio = statistics.median(each.rate / most for each, most in zip(alone, limits, strict=True))
    with_aggregates = statistics.median(each.rate for each in beside)
    first = statistics.median(each.first_commit for each in alone)
    print(
        f"  median: alone {rate:8,.0f} events/s   aggregates beside {with_aggregates:8,.0f} events/s"
        f"   limit {limit:8,.0f} events/s"
        f"   ratio {ratio:.2f} (target 0.70)   first commit {first:.2f} s after the request"
    )


def _steps(rig: Rig, last: int) -> str:
    with rig.connect() as connection:
        found = _row(connection, _STEPS, last)
    names, total = ("pull", "decode", "claim", "frame", "store"), sum(found)
    return "   ".join(f"{name} {100 * step / total:.0f} %" for name, step in zip(names, found, strict=True))


def _run(rig: Rig, query: str) -> None:
    with rig.connect() as connection:
        connection.execute(query.encode())


def _fill(rig: Rig, rows: int) -> None:
    with rig.connect() as connection:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        Partitions().ensure(connection, [int(today.timestamp()) * 1_000_000], today.date())
        for done in range(0, rows, _FILLED_AT_ONCE):
            bounds = {"first": done + 1, "last": min(rows, done + _FILLED_AT_ONCE), "rows": rows}
            connection.execute(_FILL.encode(), bounds)
        connection.execute("vacuum analyze raw.events")
        connection.execute("checkpoint")


def _row(connection: "psycopg.Connection[tuple[Any, ...]]", query: str, last: int) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), (last,)).fetchone()
    return row or ()


def _copy_again(connection: "psycopg.Connection[tuple[Any, ...]]") -> float:
    """Read the rows out in the order of the key, empty the table, and time COPY of them on one connection."""
    with connection.cursor() as cursor:
        with cursor.copy(_READ) as copy:
            rows = b"".join(bytes(block) for block in copy)
        cursor.execute(_EMPTY)
        cursor.execute("checkpoint")
        began = time.perf_counter()
        with cursor.copy(_WRITE) as copy:
            for at in range(0, len(rows), _BLOCK):
                copy.write(rows[at : at + _BLOCK])
        took = time.perf_counter() - began
        cursor.execute(_EMPTY)
    return took
