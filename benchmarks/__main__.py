"""`make bench`: everything in one run. `make bench ARGS="--quick"` for a first impression."""

import os
import platform
from collections.abc import Collection

import click

from benchmarks import aggregates, beside, footprint, history, hours, latency, memory, throughput
from benchmarks.rig import rig

_ALL = ("throughput", "memory", "latency", "refresh", "backfill", "hours", "beside", "history", "footprint")


@click.command()
@click.option("--events", default=500_000, show_default=True, help="Backlog of the throughput measurement.")
@click.option("--rows", default=10_000_000, show_default=True, help="Events that the aggregates are measured on.")
@click.option("--rounds", default=3, show_default=True, help="How often throughput and limit are taken in turn.")
@click.option("--rate", default=1_000, show_default=True, help="Events a second of the latency measurements.")
@click.option("--seconds", default=60, show_default=True, help="Length of a latency measurement.")
@click.option("--quick", is_flag=True, help="A tenth of everything.")
@click.option("--only", type=click.Choice(_ALL), multiple=True, help="One of them; may be given several times.")
def bench(events: int, rows: int, rounds: int, rate: int, seconds: int, quick: bool, only: tuple[str, ...]) -> None:
    """Measure Millrace against the limits of this machine. Takes about half an hour."""
    backlogs = (500_000, 2_000_000)
    if quick:
        events, rows, rounds, seconds = events // 10, rows // 10, 1, max(10, seconds // 6)
        backlogs = (50_000, 200_000)
    chosen = only or _ALL
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    if {"throughput", "memory"} & {*chosen}:
        _with_one_lane(chosen, events, rounds, backlogs)
    if {"latency", "beside"} & {*chosen}:
        _with_defaults(chosen, rate, seconds, rows)
    if {"refresh", "backfill"} & {*chosen}:
        print(f"\nAggregates, {rows:,} events over 30 days")
        aggregates.measure(rows, chosen)
    if "hours" in chosen:
        print("\nAn import of history")
        hours.measure(rows // 100)
    if "history" in chosen:
        with rig() as fresh:
            runs = 3_000 if quick else 10_000
            print(f"\nDagster's own tables and user interface, {runs:,} runs, trimmed to the last 1,000")
            history.measure(fresh, runs)
    if "footprint" in chosen:
        with rig(MILLRACE_LANES="1") as one_lane:
            print(f"\nFootprint of {events:,} events")
            footprint.measure(one_lane, events)


def _with_one_lane(chosen: Collection[str], events: int, rounds: int, backlogs: tuple[int, ...]) -> None:
    with rig(MILLRACE_LANES="1") as one_lane:
        if "throughput" in chosen:
            print(f"\nThroughput, one lane, backlog of {events:,} events")
            throughput.measure(one_lane, events, rounds)
        if "memory" in chosen:
            print("\nMemory of the worker, one lane")
            memory.measure(one_lane, backlogs)


def _with_defaults(chosen: Collection[str], rate: int, seconds: int, rows: int) -> None:
    with rig() as default:
        if "latency" in chosen:
            print("\nLatency, produce to visible, default settings")
            latency.measure(default, rate, seconds)
        if "beside" in chosen:
            print("\nLatency with and without a backfill of 90 days")
            beside.measure(default, rate, seconds, rows)


if __name__ == "__main__":
    bench()
