"""Says how it goes, a few times a second, and sums up at the end.

What belongs here: turning the running count into `Progress` and `Summary`. What does not: counting (`tally`) and
layout (`display`).
"""

from collections.abc import Callable

from confluent_kafka import KafkaError

from contract.shown import said
from producer.sent_log import SentLog
from producer.tally import SendCounts, SendProgress, Speedometer, Summary

OnProgress = Callable[[SendProgress], None]
Clock = Callable[[], float]

_EVERY = 0.25


class Trouble:
    """What the client last complained about; empty while messages get through."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, error: KafkaError) -> None:
        """Take in an error that is about the connection, not about a message."""
        if error.code() != KafkaError._TRANSPORT:  # noqa: SLF001 - one of several brokers; the others still answer
            self.text = said(error.str())


class ProducerReporter:
    """Reports on one invocation.

    Args:
        tally: the running count.
        clock: the time now, in seconds.
        trouble: what the client complains about.
        ledger: is flushed as often as progress is reported.
        on_progress: who wants to know.
    """

    def __init__(
        self, tally: SendCounts, clock: Clock, trouble: Trouble, ledger: SentLog | None, on_progress: OnProgress | None
    ) -> None:
        self._tally = tally
        self._clock = clock
        self._trouble = trouble
        self._ledger = ledger
        self._on_progress = on_progress
        self._began = clock()
        self._speed = Speedometer(self._began)
        self._shown = 0.0
        self._arrived = 0

    def begin(self) -> None:
        """The first message is about to be sent."""
        self._began = self._clock()
        self._speed = Speedometer(self._began)

    def show(self, *, at_once: bool = False) -> None:
        """Report if it is time to."""
        now = self._clock()
        if now - self._shown < _EVERY and not at_once:
            return
        self._shown = now
        if self._ledger is not None:
            self._ledger.flush()
        if self._tally.acknowledged > self._arrived:
            self._arrived, self._trouble.text = self._tally.acknowledged, ""
        if self._on_progress is not None:
            self._on_progress(self._progress(now))

    def summary(self, topic: str, seed: int, *, interrupted: bool) -> Summary:
        """What became of it all."""
        tally, seconds = self._tally, self._clock() - self._began
        return Summary(
            topic=topic,
            seed=seed,
            seconds=round(seconds, 3),
            sent=tally.sent,
            acknowledged=tally.acknowledged,
            failed=tally.failed,
            rate=round(tally.acknowledged / seconds, 1) if seconds > 0 else 0.0,
            by_class=dict(sorted(tally.by_class.items())),
            by_type=dict(sorted(tally.by_type.items())),
            errors=dict(tally.errors),
            interrupted=interrupted,
        )

    def _progress(self, now: float) -> SendProgress:
        return SendProgress(
            seconds=now - self._began,
            sent=self._tally.sent,
            acknowledged=self._tally.acknowledged,
            failed=self._tally.failed,
            rate=self._speed.rate(now, self._tally.acknowledged),
            trouble=self._trouble.text,
        )
