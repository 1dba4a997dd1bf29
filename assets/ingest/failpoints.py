"""Named points of the ingest at which tests stop or kill the process that runs it.

What belongs here: the mechanism; it is off unless `MILLRACE_FAILPOINTS` names a directory. What does not: the points
themselves (`store` names them where they are passed).

A file `<point>.kill`, `<point>.stop` (SIGSTOP) or `<point>.fail` in that directory acts once, on whoever comes first.
"""

import os
import signal
from pathlib import Path

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class InjectedFailure(Exception):
    """A failpoint was set to fail."""


class Failpoints:
    """Looks for a file at each point."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, point: str) -> None:
        """Act if the point is set."""
        for action in ("kill", "stop", "fail"):
            try:
                (self._directory / f"{point}.{action}").unlink()
            except FileNotFoundError:
                continue
            if action == "fail":
                raise InjectedFailure(point)
            os.kill(os.getpid(), _SIGNALS[action])
