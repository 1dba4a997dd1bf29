"""Processor time of a stack by program: per event under load (`throughput`, `peers`), or of a core when idle.

What belongs here: reading it from the kernel. What does not: the load, and what the figures are divided by.
"""

import time
from collections import Counter
from collections.abc import Mapping

import psutil

from benchmarks.rig import Rig
from infra.local.remote import Remote


def by_program(rig: Rig) -> Counter[str]:
    """Seconds that each program of the stack has used, with its children, also those that have ended."""
    programs = {name: int(info["pid"]) for name, info in Remote(rig.directory).programs().items() if info["pid"]}
    return Counter({name: of_process(pid) for name, pid in programs.items()})


def of_process(pid: int) -> float:
    """Seconds of a process, of the children that it has waited for, and of those that live."""
    try:
        process = psutil.Process(pid)
        alive = [process, *process.children(recursive=True)]
        return sum(sum(each.cpu_times()[:4]) for each in alive)
    except psutil.NoSuchProcess:  # it ended between two looks
        return 0.0


def used(rig: Rig, before: Mapping[str, float]) -> Counter[str]:
    """Seconds by program since then."""
    return by_program(rig) - Counter(before)


def split(seconds: Mapping[str, float], events: int) -> str:
    """Microseconds an event, all in all and by program, the largest first; what is below a tenth is summed up."""
    each = {name: value / events * 1e6 for name, value in Counter(seconds).most_common()}
    shown = {name: value for name, value in each.items() if value >= 0.1}
    rest = sum(each.values()) - sum(shown.values())
    return f"{sum(each.values()):5.1f} = " + "   ".join(
        f"{name} {value:.1f}" for name, value in {**shown, "others": rest}.items()
    )


def idle(rig: Rig, seconds: int) -> None:
    """Print the part of a core that each program uses while nothing is produced."""
    time.sleep(10)  # what the start left to do
    before, began = by_program(rig), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    parts = used(rig, before)
    for name, value in parts.most_common():
        print(f"  {name:20} {100 * value / took:5.1f} % of a core")
    print(f"  {'all':20} {100 * sum(parts.values()) / took:5.1f} % of a core")
