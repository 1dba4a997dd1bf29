"""What the processes of a data directory were started with, for tests.

What belongs here: reading it of those that live. What does not: whose processes they are (`infra.local.processes`).
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from infra.local import processes


def command_lines(directory: Path) -> Iterator[list[str]]:
    """Of each process that is still there when it is asked: PostgreSQL's sessions come and go."""
    for process in processes.find(directory):
        with suppress(psutil.NoSuchProcess):
            yield process.cmdline()
