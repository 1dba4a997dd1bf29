"""Ingest of a backlog through real Dagster runs, against COPY of the same rows, ready-made, into the same table.

What belongs here: the two timings, their ratio, and the share of each step. Both are taken several times in turn,
because the machine's speed wanders; the medians are compared.
"""

import statistics
import time
from typing import Any

import psycopg

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
    count(distinct r.run_id)
from ops.batches as b inner join dagster.runs as r on r.run_id = b.run_id where b.batch_id > %s and b.records > 0
"""
_STEPS = """
select sum(pull_seconds), sum(decode_seconds), sum(claim_seconds), sum(frame_seconds), sum(store_seconds)
from ops.batches where batch_id > %s
"""


def measure(rig: Rig, events: int, rounds: int) -> None:
    """Print both rates of every round, the medians, the ratio, and where the time went."""
    ingests: list[float] = []
    limits: list[float] = []
    steps: tuple[Any, ...] = ()
    for number in range(1, rounds + 1):
        last = rig.one("select coalesce(max(batch_id), 0) from ops.batches")
        before = rig.one("select coalesce(sum(records), 0) from ops.batches")
        with rig.nobody_plans():
            rig.produce("--fast", "--count", str(events))
        rig.wait_for_records(before + events)
        with rig.connect() as connection:
            seconds, runs = _row(connection, _RUN_SECONDS, last)
            steps = _row(connection, _STEPS, last)
            ingests.append(events / seconds)
            limits.append(events / _copy_again(connection))
        print(
            f"  round {number}: ingest {ingests[-1]:8,.0f} events/s ({runs} Dagster runs, from request to last commit)"
            f"   limit {limits[-1]:8,.0f} events/s   ratio {ingests[-1] / limits[-1]:.2f}"
        )
    ratio = statistics.median(a / b for a, b in zip(ingests, limits, strict=True))
    print(
        f"  median:  ingest {statistics.median(ingests):8,.0f} events/s   limit {statistics.median(limits):8,.0f}"
        f" events/s   ratio {ratio:.2f} (target 0.50 now, 0.70 later)"
    )
    total = sum(steps)
    names = ("pull", "decode", "claim", "frame", "store")
    shares = "   ".join(f"{n} {100 * s / total:.0f} %" for n, s in zip(names, steps, strict=True))
    print(f"  steps of the last round (pull and decode overlap the rest): {shares}")


def _row(connection: "psycopg.Connection[tuple[Any, ...]]", query: str, last: int) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), (last,)).fetchone()
    return row or ()


def _copy_again(connection: "psycopg.Connection[tuple[Any, ...]]") -> float:
    """Read the rows out in the order of the key, empty the table, and time COPY of them on one connection."""
    with connection.cursor() as cursor:
        with cursor.copy(_READ) as copy:
            rows = b"".join(bytes(block) for block in copy)
        cursor.execute("truncate raw.events")
        cursor.execute("checkpoint")
        began = time.perf_counter()
        with cursor.copy(_WRITE) as copy:
            for at in range(0, len(rows), _BLOCK):
                copy.write(rows[at : at + _BLOCK])
        took = time.perf_counter() - began
        cursor.execute("truncate raw.events")
    return took
