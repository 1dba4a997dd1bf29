"""`make bench`: throughput, memory and latency in one run. `make bench ARGS="--quick"` for a first impression."""

import os
import platform

import click

from benchmarks import latency, memory, throughput
from benchmarks.rig import rig


@click.command()
@click.option("--events", default=500_000, show_default=True, help="Backlog of the throughput measurement.")
@click.option("--rounds", default=3, show_default=True, help="How often throughput and limit are taken in turn.")
@click.option("--rate", default=1_000, show_default=True, help="Events a second of the latency measurement.")
@click.option("--seconds", default=60, show_default=True, help="Length of the latency measurement.")
@click.option("--quick", is_flag=True, help="A tenth of everything.")
@click.option("--only", type=click.Choice(["throughput", "memory", "latency"]), help="One of the three.")
def bench(events: int, rounds: int, rate: int, seconds: int, quick: bool, only: str | None) -> None:
    """Measure Millrace against the limits of this machine. Takes about ten minutes."""
    backlogs = (500_000, 2_000_000)
    if quick:
        events, rounds, seconds, backlogs = events // 10, 1, max(10, seconds // 6), (50_000, 200_000)
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    if only != "latency":
        with rig(MILLRACE_LANES="1") as one_lane:
            if only != "memory":
                print(f"\nThroughput, one lane, backlog of {events:,} events")
                throughput.measure(one_lane, events, rounds)
            if only != "throughput":
                print("\nMemory of the worker, one lane")
                memory.measure(one_lane, backlogs)
    if only in (None, "latency"):
        with rig() as default:
            print("\nLatency, produce to visible, default settings")
            latency.measure(default, rate, seconds)


if __name__ == "__main__":
    bench()
