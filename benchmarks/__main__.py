"""`make bench`: everything in one run. `make bench ARGS="--quick"` for a first impression."""

import os
import platform
from collections.abc import Collection
from dataclasses import dataclass, replace

import click

from benchmarks import (
    aggregates,
    beside,
    footprint,
    history,
    hours,
    latency,
    memory,
    processor,
    refresh,
    sustained,
    throughput,
)
from benchmarks.rig import rig

_ALL = (
    "throughput",
    "flat",
    "idle",
    "memory",
    "latency",
    "refresh",
    "backfill",
    "sustained",
    "hours",
    "beside",
    "history",
    "footprint",
)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    events: int
    rows: int
    held: int
    new: int
    rounds: int
    rate: int
    seconds: int
    start_rate: int
    steady: int
    flat_rows: int
    idle_seconds: int
    duplicates: float
    runs: int = 10_000
    backlog: int = 500_000

    def quick(self) -> "Sizes":
        """A tenth of it."""
        tenth = {name: getattr(self, name) // 10 for name in ("events", "rows", "held", "new", "flat_rows")}
        lengths = {
            "idle_seconds": max(20, self.idle_seconds // 6),
            "seconds": max(10, self.seconds // 6),
            "steady": max(20, self.steady // 6),
        }
        return replace(self, **tenth, **lengths, rounds=1, runs=3_000, backlog=50_000)


@click.command()
@click.option("--events", default=500_000, show_default=True, help="Backlog of the throughput measurement.")
@click.option("--rows", default=10_000_000, show_default=True, help="Events that the aggregates are measured on.")
@click.option("--held", default=2_000_000, show_default=True, help="Events of the hour that a refresh adds to.")
@click.option("--new", default=100_000, show_default=True, help="Events that a refresh takes in.")
@click.option("--rounds", default=3, show_default=True, help="How often throughput and limit are taken in turn.")
@click.option("--rate", default=1_000, show_default=True, help="Events a second of the latency measurements.")
@click.option("--seconds", default=60, show_default=True, help="Length of a latency measurement.")
@click.option("--start-rate", default=5_000, show_default=True, help="Events a second that are sustained first.")
@click.option("--steady", default=120, show_default=True, help="Seconds of each step of the sustained rate.")
@click.option("--flat-rows", default=10_000_000, show_default=True, help="Rows that --only flat fills in before.")
@click.option("--idle-seconds", default=120, show_default=True, help="How long --only idle looks at an idle stack.")
@click.option("--duplicates", default=0.02, show_default=True, help="Part of a backlog that was sent before.")
@click.option("--quick", is_flag=True, help="A tenth of everything.")
@click.option("--only", type=click.Choice(_ALL), multiple=True, help="One of them; may be given several times.")
def bench(only: tuple[str, ...], *, quick: bool, duplicates: float, **numbers: int) -> None:
    """Measure Millrace against the limits of this machine. Takes more than an hour."""
    full = Sizes(**numbers, duplicates=duplicates)
    sizes = full.quick() if quick else full
    chosen = only or _ALL
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    if {"throughput", "memory", "flat"} & {*chosen}:
        _with_one_lane(chosen, sizes)
    if "throughput" in chosen:
        with rig(MILLRACE_LANES="2") as two_lanes:
            print(f"\nThroughput, two lanes, backlog of {sizes.events:,} events")
            throughput.measure(two_lanes, sizes.events, sizes.rounds, sizes.duplicates)
    if {"latency", "beside", "idle"} & {*chosen}:
        _with_defaults(chosen, sizes)
    _of_aggregates(chosen, sizes)
    if "hours" in chosen:
        print("\nAn import of history")
        hours.measure(sizes.rows // 100)
    if "history" in chosen:
        with rig() as fresh:
            print(f"\nDagster's own tables and user interface, {sizes.runs:,} runs, trimmed to the last 1,000")
            history.measure(fresh, sizes.runs)
    if "footprint" in chosen:
        with rig(MILLRACE_LANES="1") as one_lane:
            print(f"\nFootprint of {sizes.events:,} events")
            footprint.measure(one_lane, sizes.events)


def _with_one_lane(chosen: Collection[str], sizes: Sizes) -> None:
    with rig(MILLRACE_LANES="1") as one_lane:
        if "throughput" in chosen:
            print(f"\nThroughput, one lane, backlog of {sizes.events:,} events")
            throughput.measure(one_lane, sizes.events, sizes.rounds, sizes.duplicates)
        if "flat" in chosen:
            print(f"\nFlat, one lane, backlog of {sizes.events:,} events on {sizes.flat_rows:,} rows")
            throughput.measure_flat(one_lane, sizes.events, sizes.rounds, sizes.flat_rows, sizes.duplicates)
        if "memory" in chosen:
            print("\nMemory of the worker, one lane")
            memory.measure(one_lane, (sizes.backlog, 4 * sizes.backlog))


def _with_defaults(chosen: Collection[str], sizes: Sizes) -> None:
    with rig() as default:
        if "idle" in chosen:
            print(f"\nAn idle stack, default settings, over {sizes.idle_seconds} s")
            processor.idle(default, sizes.idle_seconds)
        if "latency" in chosen:
            print("\nLatency, produce to visible, default settings")
            latency.measure(default, sizes.rate, sizes.seconds)
        if "beside" in chosen:
            print("\nLatency with and without a backfill of 90 days")
            beside.measure(default, sizes.rate, sizes.seconds, sizes.rows)


def _of_aggregates(chosen: Collection[str], sizes: Sizes) -> None:
    if "refresh" in chosen:
        print("\nRefreshes")
        refresh.measure(sizes.held, sizes.new)
    if {"refresh", "backfill"} & {*chosen}:
        print(f"\nAggregates, {sizes.rows:,} events over 30 days")
        aggregates.measure(sizes.rows, chosen)
    if "sustained" in chosen:
        print(f"\nSustained rate, each step {sizes.steady} s, with producer, ingest and aggregates on the same cores")
        with rig() as default:
            sustained.measure(default, sizes.start_rate, sizes.steady)


if __name__ == "__main__":
    bench()
