"""Refreshes in a process of its own until it is killed, so that a test can kill it. Settings by the environment.

What belongs here: that. What does not: what is to be seen afterwards (`test_side_by_side`).
"""

import sys
from datetime import UTC, datetime

from orchestration.factories import make_aggregates
from orchestration.settings import load


def main() -> None:
    """Say so when everything is imported, then refresh and rebuild for ever."""
    aggregates = make_aggregates(load())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        aggregates.refresh()
        if sys.argv[1] == "rebuild":
            aggregates.rebuild(datetime(2026, 5, 30, tzinfo=UTC), datetime(2026, 6, 4, tzinfo=UTC))


if __name__ == "__main__":
    main()
