"""Ending in order: what the signals do that ask a command to end.

What belongs here: signal handlers. What does not: what is done at the end.
"""

import signal
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from threading import Event
from typing import Any, NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _interrupt_once(_number: int, _frame: object) -> NoReturn:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def as_ctrl_c(*, once: bool = False) -> AbstractContextManager[None]:
    """Let SIGTERM, and a terminal that closes, do what Ctrl-C does within the block.

    With `once` the first of them counts, and the clean-up that it causes is not interrupted by a second one.
    """
    # Who started us with nohup wants us to outlive the terminal.
    numbers = [n for n in _ENDING if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    return _handling(_interrupt_once if once else _interrupt, numbers)


def ignored() -> AbstractContextManager[None]:
    """Let nobody interrupt the block: an impatient second Ctrl-C would leave half of it running."""
    return _handling(signal.SIG_IGN, _ENDING)


@contextmanager
def stopping() -> Generator[tuple[Event, Event]]:
    """What the first Ctrl-C (or SIGTERM) sets within the block, and what the second: stop, then give up."""
    stop, abandon = Event(), Event()

    def end(*_: object) -> None:
        (abandon if stop.is_set() else stop).set()

    with _handling(end, (signal.SIGINT, signal.SIGTERM)):
        yield stop, abandon


@contextmanager
def _handling(handler: Any, numbers: Iterable[signal.Signals]) -> Generator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
