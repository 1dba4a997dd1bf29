"""From produce to visible in PostgreSQL, event by event, under a steady rate.

Produced: the producer's own timestamp in the Kafka record. Visible: when another connection first sees an offset
committed, asked every 5 ms.
"""

import threading
import time
from typing import Any

import numpy as np

from benchmarks.rig import Rig
from orchestration.factories import make_kafka

_ASK_EVERY_SECONDS = 0.005


def measure(rig: Rig, rate: int, seconds: int) -> float:
    """Print the quantiles of all events of the run, the first two seconds (a cold start) left out.

    Returns:
        The 95th percentile in seconds.
    """
    seen: dict[int, list[tuple[float, int]]] = {}
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(rig, seen, done))
    watcher.start()
    time.sleep(1)
    before = rig.one("select coalesce(sum(records), 0) from ops.batches")
    summary = rig.produce("--rate", str(rate), "--duration", f"{seconds}s")
    rig.wait_for_records(before + summary["acknowledged"])
    done.set()
    watcher.join()
    waited = np.array(_waits(rig, seen))
    p50, p95, p99, most = np.quantile(waited, (0.5, 0.95, 0.99, 1.0))
    print(
        f"  {rate:,} events/s for {seconds} s, {len(waited):,} events: p50 {p50:.2f} s   p95 {p95:.2f} s   "
        f"p99 {p99:.2f} s   max {most:.2f} s (targets p50 < 1 s, p95 < 2 s)"
    )
    return float(p95)


def _watch(rig: Rig, seen: dict[int, list[tuple[float, int]]], done: threading.Event) -> None:
    with rig.connect() as connection:
        while not done.is_set():
            found = connection.execute("select partition, next_offset from ops.offsets").fetchall()
            now = time.time()
            for partition, offset in found:
                history = seen.setdefault(partition, [])
                if not history or history[-1][1] != offset:
                    history.append((now, offset))
            time.sleep(_ASK_EVERY_SECONDS)


def _waits(rig: Rig, seen: dict[int, list[tuple[float, int]]]) -> list[float]:
    """Read the records again for their timestamps and look up when each offset was first seen committed."""
    waits: list[float] = []
    from confluent_kafka import TopicPartition

    topic = rig.settings.kafka_topics[0]
    consumer = make_kafka(rig.settings).consumer(**{"group.id": "bench", "enable.partition.eof": False})
    for partition, history in seen.items():
        start, end = history[0][1], history[-1][1]
        times, ends = [t for t, _ in history], np.array([o for _, o in history])
        began = None
        consumer.assign([TopicPartition(topic, partition, start)])
        at = start
        while at < end:
            messages: list[Any] = consumer.consume(5_000, 1.0)
            for message in messages:
                at = message.offset() + 1
                sent = message.timestamp()[1] / 1000
                began = began or sent
                if message.offset() < end and sent - began > 2:
                    waits.append(times[int(np.searchsorted(ends, message.offset(), side="right"))] - sent)
    consumer.close()
    return waits
