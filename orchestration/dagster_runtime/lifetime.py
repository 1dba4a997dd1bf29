"""How worker processes end: children with their parent, a shutdown within bounds, signals as they should be.

What belongs here: signals and process lifetimes. What does not: what a worker does while it lives (`worker`).
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Generator

import psutil

# Shorter together than the 30 s that Kubernetes and ECS give by default.
FINISH_SECONDS = 20.0
REPORT_SECONDS = 5.0

_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends, also when it was killed (Linux).

    Without it the children of a killed worker live on: one of them may finish a run that Dagster has given up.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), number)


@contextlib.contextmanager
def same_signals_afterwards() -> Generator[None]:
    """Undo what a run does to signal handlers.

    After a run Dagster gives SIGTERM the handler of SIGINT, and a child ignores SIGINT: from its first run on it could
    be neither canceled nor shut down between two runs.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def bound_shutdown() -> None:
    """Called when a worker begins to shut down: its children may finish their runs, but not for ever.

    Then each is interrupted, which makes Dagster end the run as FAILURE, and last killed.
    """
    for seconds, number in ((FINISH_SECONDS, signal.SIGTERM), (FINISH_SECONDS + REPORT_SECONDS, signal.SIGKILL)):
        timer = threading.Timer(seconds, _signal_children, (number,))
        timer.daemon = True
        timer.start()


def _signal_children(number: signal.Signals) -> None:
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(number)
