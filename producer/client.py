"""The Kafka client: how it is set up, and the questions asked before the first message.

What belongs here: librdkafka's properties and metadata. What does not: messages (`sender`).
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contract.shown import said
from producer.config import ProducerConfig, ProducerError, TopicMissingError
from resources import kafka_options, kafka_token

Report = Callable[[KafkaError | None, Message | None], None]


_LOOKS, _BETWEEN_LOOKS = 8, 0.2


class Client(Protocol):
    """What the sender needs of `confluent_kafka.Producer`."""

    def produce(  # noqa: D102
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, on_delivery: Report
    ) -> None: ...
    def poll(self, timeout: float) -> int: ...  # noqa: D102
    def flush(self, timeout: float) -> int: ...  # noqa: D102
    def purge(self) -> None: ...  # noqa: D102
    def __len__(self) -> int: ...


def connect(config: ProducerConfig, on_error: Callable[[KafkaError], None]) -> Producer:
    """A producer that acknowledges only what all replicas have, and keeps order through retries."""
    try:
        return Producer({**_properties(config), "error_cb": on_error, "logger": _silent()})
    except KafkaException as error:
        raise ProducerError(f"Kafka's client refuses its settings: {_text(error)}") from None


def _properties(config: ProducerConfig) -> dict[str, Any]:
    return {
        "client.id": "millrace-produce",
        "linger.ms": "20" if config.fast else "5",
        "compression.type": "lz4",
        "partitioner": "murmur2_random",  # what Java clients do: a key has one partition, whoever sends it
        "queue.buffering.max.messages": "200000",
        "queue.buffering.max.kbytes": "131072",
        "message.max.bytes": "8000000",  # before compression; the broker has the last word
        "delivery.timeout.ms": str(round(config.delivery_timeout * 1000)),
        **kafka_token.properties(config.kafka_options),
        "bootstrap.servers": config.bootstrap_servers,
        **kafka_options.PRODUCER,
    }


def partitions(producer: Producer, config: ProducerConfig, sleep: Callable[[float], object] = time.sleep) -> int:
    """How many partitions the topic has.

    Raises:
        TopicMissingError: the cluster has no such topic.
        ProducerError: nobody answers.
    """
    for _ in range(_LOOKS):
        try:
            # All topics, not one by name: some brokers create what they are asked for.
            found = producer.list_topics(timeout=config.connect_timeout).topics.get(config.topic)
        except KafkaException as error:
            raise ProducerError(f"no Kafka answers at {config.bootstrap_servers} ({_text(error)})") from None
        if found is not None and found.error is None and found.partitions:
            return len(found.partitions)
        # A topic that was created a moment ago is not known to every broker yet.
        sleep(_BETWEEN_LOOKS)
    raise TopicMissingError(f"Kafka at {config.bootstrap_servers} has no topic {config.topic!r}; create it first")


def _silent() -> logging.Logger:
    """Librdkafka's log lines would go through the progress bar; what matters of them comes as an error."""
    logger = logging.getLogger("millrace.producer.librdkafka")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def _text(error: KafkaException) -> str:
    cause = error.args[0] if error.args else error
    return said(cause.str() if isinstance(cause, KafkaError) else cause)
