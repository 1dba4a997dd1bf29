"""Sends messages and counts them by Kafka's delivery reports.

What belongs here: handing over, back-pressure, delivery reports, draining at the end. What does not: what
is sent (`traffic`, `templates`) and when (`timing`).
"""

from collections.abc import Callable, Iterable
from functools import partial
from threading import Event

from confluent_kafka import KafkaError, KafkaException, Message

from contract.shown import said
from producer.client import Client, Report
from producer.sent_log import Receipts, SentEntry
from producer.tally import SendCounts
from producer.templates import ID_SLICE
from producer.traffic import Outgoing

_BREATH = 0.05
_ANY = -1


class Sender:
    """Hands messages to the client and counts what comes of them.

    Args:
        client: a connected producer.
        topic: where to.
        partitions: how many the topic has.
        ledger: gets an entry for every message of which Kafka said what became of it.
        stop: when set, nothing more is accepted.
        abandon: when set, what Kafka has not acknowledged yet is given up.
    """

    def __init__(
        self, client: Client, topic: str, partitions: int, ledger: Receipts | None, stop: Event, abandon: Event
    ) -> None:
        self.tally = SendCounts()
        self.on_wait: Callable[[], None] = lambda: None
        self._client = client
        self._topic = topic
        self._partitions = partitions
        self._ledger = ledger
        self._stop = stop
        self._abandon = abandon
        self._by_type: dict[str, Report] = {}

    def send(self, message: Outgoing) -> bool:
        """Send one message; False if it was not accepted because the producer is to stop."""
        partition = _ANY if message.stray is None else int(message.stray * self._partitions)
        return self._hand_over(message.key or None, message.value, partition, partial(self._reported, message))

    def send_all(self, messages: Iterable[tuple[bytes, bytes, str]]) -> bool:
        """Send valid events (key, value, type) that carry their id where `templates` puts it."""
        produce, topic, reports = self._client.produce, self._topic, self._by_type
        for key, value, type_ in messages:
            report = reports.get(type_) or self._fast_report(type_)
            try:
                produce(topic, value, key, _ANY, report)
                self.tally.sent += 1
            except (BufferError, KafkaException):
                if not self._hand_over(key, value, _ANY, report):
                    return False
        return True

    def poll(self) -> None:
        """Take in the delivery reports that have come."""
        self._client.poll(0)

    def drain(self) -> None:
        """Wait until every message is acknowledged or given up, by its delivery time-out or the operator."""
        while len(self._client):
            if self._abandon.is_set():
                self._client.purge()
            self._client.flush(0.2)
            self.on_wait()

    def _hand_over(self, key: bytes | None, value: bytes | None, partition: int, report: Report) -> bool:
        while not self._stop.is_set():
            try:
                self._client.produce(self._topic, value, key, partition, report)
            except BufferError:
                # The broker is slower than we are, or away: wait for room, lose nothing.
                self._client.poll(_BREATH)
                self.on_wait()
                continue
            except KafkaException as error:
                self._refused(error.args[0], report)
            self.tally.sent += 1
            return True
        return False

    def _refused(self, error: KafkaError, report: Report) -> None:
        report(error, None)
        if error.fatal():
            self._stop.set()

    def _reported(self, sent: Outgoing, error: KafkaError | None, message: Message | None) -> None:
        self.tally.count(sent.kind, sent.type, None if error is None else said(error.str()))
        if self._ledger is not None:
            self._ledger.write(_entry(sent.event_id, sent.kind, sent.type, sent.key, error, message))

    def _fast_report(self, type_: str) -> Report:
        report = partial(self._counted if self._ledger is None else self._noted, type_)
        return self._by_type.setdefault(type_, report)

    def _counted(self, type_: str, error: KafkaError | None, _: Message | None) -> None:
        self.tally.count("valid", type_, None if error is None else said(error.str()))

    def _noted(self, type_: str, error: KafkaError | None, message: Message | None) -> None:
        self._counted(type_, error, message)
        if self._ledger is not None and message is not None:
            event_id = (message.value() or b"")[ID_SLICE].decode()
            self._ledger.write(_entry(event_id, "valid", type_, message.key() or b"", error, message))


def _entry(
    event_id: str, kind: str, type_: str, key: bytes, error: KafkaError | None, message: Message | None
) -> SentEntry:
    # `is not None`: a message without a value counts as false.
    place = (message.partition(), message.offset()) if message is not None and error is None else (None, None)
    return SentEntry(event_id, kind, type_, key.decode(), *place, acknowledged=error is None)
