"""Somebody who kills and freezes processes of a stack at random, and remembers what was done.

What belongs here: the mischief. What does not: traffic and the accounting afterwards.
"""

import random
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

import psutil

from infra.local.services import LocalError
from tests.system.system import System

VICTIMS = (
    *("worker-ingest", "worker-child", "worker-frozen", "daemon", "code-server", "webserver"),
    *("redis", "redis-frozen", "broker", "postgres", "kafka"),
)


class Monkey:
    """Does one thing every few seconds until it is told to stop."""

    def __init__(self, system: System, seed: int, pause: tuple[float, float]) -> None:
        self.done: list[str] = []
        self._system, self._random, self._pause = system, random.Random(seed), pause
        self._over = threading.Event()
        self._frozen: list[psutil.Process] = []

    def run(self) -> None:
        """The mischief, in rounds that leave nobody out."""
        while True:
            for victim in self._random.sample(VICTIMS, len(VICTIMS)):
                if self._over.wait(self._random.uniform(*self._pause)):
                    return
                # Whoever is not there just now has been hit already.
                with suppress(AssertionError, psutil.Error, StopIteration, IndexError, OSError, LocalError):
                    self._hit(victim)
                    self.done.append(victim)

    def stop(self) -> None:
        """Let everybody go on."""
        self._over.set()
        for process in self._frozen:
            _resume(process)

    def _hit(self, victim: str) -> None:
        if victim == "worker-child":
            psutil.Process(self._random.choice(self._system.worker_children())).send_signal(signal.SIGKILL)
        elif victim == "worker-frozen":
            self._freeze(self._random.choice(self._system.worker_children()), self._random.uniform(1, 40))
        elif victim == "redis-frozen":
            self._freeze(self._system.pid("redis"), self._random.uniform(1, 10))
        else:
            self._system.kill(victim)

    def _freeze(self, pid: int, seconds: float) -> None:
        process = psutil.Process(pid)
        process.suspend()
        self._frozen.append(process)
        timer = threading.Timer(seconds, _resume, (process,))
        timer.daemon = True
        timer.start()


def _resume(process: psutil.Process) -> None:
    with suppress(psutil.Error):  # it may have been killed meanwhile
        process.resume()


@contextmanager
def mischief(system: System, seed: int, pause: tuple[float, float] = (2.0, 8.0)) -> Generator[Monkey]:
    """Mischief for as long as the block lasts; afterwards everybody may recover."""
    monkey = Monkey(system, seed, pause)
    thread = threading.Thread(target=monkey.run, daemon=True)
    thread.start()
    try:
        yield monkey
    finally:
        monkey.stop()
        thread.join(timeout=30)
        time.sleep(1)
