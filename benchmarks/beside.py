"""Latency of ingest by itself, and again while a backfill of 90 days runs beside it on the same stack.

What belongs here: keeping a backfill going during the second measurement, and the ratio. What does not: measuring
latency (`latency`).
"""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Generator

from benchmarks import filled, latency
from benchmarks.filled import DAY
from benchmarks.rig import Rig
from resources.postgres import Postgres

_DAYS = 90


def measure(rig: Rig, rate: int, seconds: int, events: int) -> None:
    """Print the quantiles of both, and the ratio of the 95th percentiles.

    Args:
        rig: a stack with default settings.
        rate: events a second that are ingested.
        seconds: length of each measurement.
        events: in the 90 days that are backfilled.
    """
    first = filled.today() - _DAYS * DAY  # up to yesterday: today's are being ingested
    with Postgres(rig.settings.postgres_url).connect("bench") as connection:
        filled.fill(connection, first, _DAYS, events)
    print("  without a backfill:")
    alone = latency.measure(rig, rate, seconds)
    span = ("--from", f"{first:%Y-%m-%d}", "--to", f"{first + (_DAYS - 1) * DAY:%Y-%m-%d}")
    print(f"  with a backfill of {_DAYS} days, {events:,} events:")
    with _again_and_again(rig, "backfill", *span) as ended:
        beside = latency.measure(rig, rate, seconds)
    print(f"  p95 with a backfill to p95 without: ratio {beside / alone:.2f} ({len(ended)} backfills ended meanwhile)")


@contextlib.contextmanager
def _again_and_again(rig: Rig, *arguments: str) -> Generator[list[int]]:
    """Run a command of millrace, and again when it has ended, until the end of the block.

    Raises:
        RuntimeError: one of them failed, so that nothing was measured.
    """
    ended: list[int] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set() and not any(ended):
            command = [sys.executable, "-m", "orchestration.cli", *arguments]
            child = subprocess.Popen(command, env=dict(rig.environment), stdout=subprocess.DEVNULL)
            while child.poll() is None and not stop.wait(0.2):
                pass
            if child.poll() is None:
                child.terminate()
            else:
                ended.append(child.returncode)
            child.wait()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join()
    if any(ended):
        raise RuntimeError("a backfill failed: what was measured beside it says nothing")
