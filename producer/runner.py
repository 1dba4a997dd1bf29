"""The producer from beginning to end: connect, send by the schedule, drain, sum up.

What belongs here: the loop that ties the parts together, with its clock and its sleep handed in. What does not: the
command line, signals and the progress bar (`display`, and the command itself).
"""

import random
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from threading import Event
from typing import cast

from producer.client import Client, connect, partitions
from producer.config import ProducerConfig
from producer.reporter import Clock, OnProgress, ProducerReporter, Trouble
from producer.sender import Sender
from producer.sent_log import SentLog
from producer.tally import Summary
from producer.templates import Templates
from producer.timing import Schedule
from producer.traffic import Traffic

_BATCH = 1_000
_ANY_NUMBER = 1 << 62


class Producing:
    """One invocation under way. Made by `run`; by hand in tests only, with a clock and a client of theirs."""

    def __init__(
        self,
        config: ProducerConfig,
        sender: Sender,
        stop: Event,
        *,
        ledger: SentLog | None = None,
        trouble: Trouble | None = None,
        on_progress: OnProgress | None = None,
        clock: Clock = time.time,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._config = config
        self._sender = sender
        self._stop = stop
        self._clock = clock
        self._sleep = sleep or stop.wait
        self._seed = config.seed if config.seed is not None else random.SystemRandom().getrandbits(48)
        self._reporter = ProducerReporter(sender.tally, clock, trouble or Trouble(), ledger, on_progress)
        sender.on_wait = self._reporter.show

    def __call__(self) -> Summary:
        """Send until the count, the duration or the stop is reached; then drain."""
        emit = self._fast_emitter() if self._config.fast else self._emitter()
        self._reporter.begin()
        self._send(emit)
        interrupted = self._stop.is_set()
        self._sender.drain()
        self._reporter.show(at_once=True)
        return self._reporter.summary(self._config.topic, self._seed, interrupted=interrupted)

    def _send(self, emit: Callable[[list[int]], None]) -> None:
        start_us = self._now_us()
        end_us = start_us + _us(self._config.duration) if self._config.duration is not None else _ANY_NUMBER
        schedule = Schedule(self._config.rate, start_us, rhythm=self._config.rhythm)
        while (left := self._left()) and (now_us := self._now_us()) < end_us:
            emit(schedule.take(now_us, min(left, _BATCH)))
            self._sender.poll()
            self._reporter.show()
            self._sleep(schedule.wait(self._now_us()))
        if left and self._config.rate:
            # What was due between the last look and the end.
            emit(schedule.take(end_us - 1, left))

    def _emitter(self) -> Callable[[list[int]], None]:
        traffic, send = Traffic(self._config, self._seed), self._sender.send

        def emit(due: list[int]) -> None:
            for at_us in due:
                if not send(traffic.next(at_us)):
                    return

        return emit

    def _fast_emitter(self) -> Callable[[list[int]], None]:
        templates = Templates(self._config.population, self._seed, self._now_us())

        def emit(due: list[int]) -> None:
            self._sender.send_all(templates.render(due))

        return emit

    def _left(self) -> int:
        """How many messages may still be sent; 0 when it is to stop."""
        if self._stop.is_set():
            return 0
        return _ANY_NUMBER if self._config.count is None else self._config.count - self._sender.tally.sent

    def _now_us(self) -> int:
        return _us(self._clock())


def run(
    config: ProducerConfig,
    on_progress: OnProgress | None = None,
    *,
    stop: Event | None = None,
    abandon: Event | None = None,
) -> Summary:
    """Produce as configured and wait until Kafka has acknowledged it all.

    Args:
        config: what to send, where and how fast.
        on_progress: called four times a second or so, from this thread.
        stop: set it (from a signal handler, another thread) to send nothing more and drain.
        abandon: set it to give up what is not acknowledged yet.

    Raises:
        ProducerError: Kafka does not answer, or the topic is missing (`TopicMissingError`).
        OSError: the ledger cannot be written.
    """
    stop, abandon, trouble = stop or Event(), abandon or Event(), Trouble()
    producer = connect(config, trouble)
    count = partitions(producer, config)
    client = cast("Client", producer)
    with closing(SentLog(config.ledger)) if config.ledger else nullcontext() as ledger:
        sender = Sender(client, config.topic, count, ledger, stop, abandon)
        return Producing(config, sender, stop, ledger=ledger, trouble=trouble, on_progress=on_progress)()


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
