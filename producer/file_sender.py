"""Sends the events of a file, and says of each where in Kafka it is.

What belongs here: one file from beginning to end. What does not: which events it holds (`event_file`) and how a message
is handed over (`sender`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event as Flag
from typing import cast

from contract.decoder import Event
from producer.client import Client, connect, partitions
from producer.config import ProducerConfig
from producer.event_file import Decided
from producer.reporter import Trouble
from producer.sender import Sender
from producer.sent_log import SentEntry
from producer.tally import SendCounts
from producer.traffic import Outgoing


@dataclass
class FileSent:
    """What became of the events: the count, and an entry for each of which Kafka said something.

    Attributes:
        topic: where they were sent.
        events: how many there were.
        counts: how many were handed over, acknowledged, failed, and with which errors.
        entries: in the order in which Kafka told of them.
        trouble: what the client complained about last.
    """

    topic: str
    events: int
    counts: SendCounts
    entries: list[SentEntry] = field(default_factory=list[SentEntry])
    trouble: str = ""

    def write(self, entry: SentEntry) -> None:
        """Take in what became of one."""
        self.entries.append(entry)

    @property
    def complete(self) -> bool:
        """Whether Kafka acknowledged every event."""
        return self.counts.acknowledged == self.events


def send_file(config: ProducerConfig, events: Sequence[Decided], stop: Flag, abandon: Flag) -> FileSent:
    """Send events in their order and wait until Kafka has acknowledged them, or the delivery time-out is over.

    Args:
        config: of Kafka and the topic.
        events: each goes as it stands in the file, under its user's id as the key.
        stop: set it to send nothing more.
        abandon: set it to give up what is not acknowledged yet.

    Raises:
        ProducerError: Kafka does not answer, or the topic is missing (`TopicMissingError`).
    """
    trouble = Trouble()
    producer = connect(config, trouble)
    count = partitions(producer, config)
    done = FileSent(config.topic, len(events), SendCounts())
    sender = Sender(cast("Client", producer), config.topic, count, done, stop, abandon)
    done.counts = sender.tally
    for each in events:
        if not sender.send(_outgoing(each)):
            break
        sender.poll()
    sender.drain()
    done.trouble = trouble.text
    return done


def _outgoing(each: Decided) -> Outgoing:
    if isinstance(each.found, Event):
        kind, type_ = "valid", each.found.type
    else:
        kind, type_ = f"invalid:{each.found.code}", ""
    return Outgoing(kind, type_, each.event_id or "", (each.user_id or "").encode(errors="replace"), each.value.data)
