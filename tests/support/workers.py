"""Several pytest processes side by side (`make test`): how many, and which of them gets which tests.

What belongs here: their number, what stays together, what comes first. What does not: fixtures, of which every
process has its own, services included.
"""

import os

import psutil
from xdist.scheduler import LoadScopeScheduling

_MOST = 4
_MEMORY = 3 * 1024**3  # services take 1.2 GB, and one of the processes has a whole stack beside them
# One after the other, and first: they are the longest, and two stacks at once would keep each other waiting.
_STACKS = ("tests/system/", "tests/local/test_stack.py", "tests/local/test_commands.py")
# The longest of the others, so that none of them begins when everybody else is done.
_LONG = (
    "tests/dagster_runtime/test_engine.py",
    "tests/ingest/test_unreadable.py",
    "tests/ingest/test_faults.py",
    "tests/aggregates/test_work.py",
    "tests/security/test_planted.py",
    "tests/ingest/test_ingest.py",
    "tests/aggregates/test_history.py",
    "tests/aggregates/test_side_by_side.py",
    "tests/ingest/test_logs.py",
    "tests/aggregates/test_against_pandas.py",
    "tests/metrics/test_totals.py",
    "tests/ingest/test_stricter_rules.py",
    "tests/ingest/test_rights.py",
    "tests/security/test_connections.py",
    "tests/erasure/test_erase.py",
    "tests/erasure/test_retention.py",
)


def number() -> int:
    """Three for two processors, as a third of the time is waiting; fewer where memory is short."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors * 3 // 2, psutil.virtual_memory().total // _MEMORY, _MOST))


def unit(test: str) -> str:
    """What a test, by its node id, is not to be parted from: its file, or the other tests of stacks."""
    return "stacks" if test.startswith(_STACKS) else test.partition("::")[0]


def rank(test: str) -> int:
    """The place of a test's unit in the order in which they are handed out; equal ones stay as they are."""
    units = ("stacks", *_LONG)
    return units.index(unit(test)) if unit(test) in units else len(units)


class Units(LoadScopeScheduling):
    """Hands out one unit after the other to whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
