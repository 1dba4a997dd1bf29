"""Kafka: consumers, an admin client, the three facts the plan needs (topic ids, first and last offsets), ids of logs.

What belongs here: clients with their time-outs and plain answers. What does not: which offsets to read, and how it is
found out that a log was replaced (`assets.ingest.log_replacement`).
"""

import logging
import re
import threading
from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from uuid import UUID

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import EarliestSpec, LatestSpec, OffsetSpec
from confluent_kafka.cimpl import NewTopic

from contract.shown import said
from resources import kafka_options, kafka_token

_LOG = logging.getLogger(f"millrace.{__name__}")
_CLOSE_SECONDS = 10.0
_REQUEST_SECONDS = 5.0
_LOG_BYTE, _MOST_LOGS = 6, 255
_LONGEST = 4_000
# Where waiting does not help: a certificate, or a user and a password.
_REFUSALS = (KafkaError._SSL, KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)  # noqa: SLF001 - so named


class KafkaUnavailable(Exception):
    """No broker answered in time."""


@dataclass(frozen=True)
class Available:
    """What Kafka holds of one partition: offsets from `low` up to `high`, which is as far as may be read now."""

    topic: str
    topic_id: UUID
    partition: int
    low: int
    high: int


@dataclass(frozen=True)
class Kafka:
    """Where Kafka is, and clients for it. `options` may hold passwords and are never shown."""

    bootstrap_servers: str
    group_id: str = "millrace"
    options: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    _refusals: deque[str] = field(default_factory=lambda: deque[str](maxlen=1), init=False, repr=False, compare=False)

    def consumer(self, **more: Any) -> Consumer:
        """A consumer that reads committed records only, moves no offsets by itself and never guesses a position."""
        # Our own come last: whatever the options say, exactness stands on these.
        return Consumer({**self._common, **kafka_options.CONSUMER, "group.id": self.group_id, **more})

    def topic_ids(self, topics: Sequence[str], troubles: dict[str, str] | None = None) -> dict[str, tuple[UUID, int]]:
        """The id and the number of partitions of each topic that exists.

        Args:
            topics: by name.
            troubles: takes what Kafka says of single topics that it does not describe, while it describes others.

        Raises:
            KafkaUnavailable: no broker answered within 5 s; with the reason, where TLS or SASL is it. Without
                `troubles` also where one topic is not described; the text names it.
        """
        found: dict[str, tuple[UUID, int]] = {}
        futures = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=_REQUEST_SECONDS)
        for topic, future in futures.items():
            try:
                described = future.result()
            except KafkaException as error:
                if _kafka_error(error).code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                # One request describes all topics: that nobody answered it in time is about no single one.
                if _of_everybody(error) or _kafka_error(error).code() == KafkaError._TIMED_OUT:  # noqa: SLF001
                    raise self._unavailable(error) from None
                if troubles is None:
                    raise KafkaUnavailable(f"{topic}: {error_text(error)}") from None
                troubles[topic] = error_text(error)
                continue
            found[topic] = (_uuid(described.topic_id), len(described.partitions))
        return found

    def available(self, topics: Sequence[str], troubles: dict[str, str] | None = None) -> list[Available]:
        """What can be read now of every partition of the topics that exist; ends are those of committed records.

        Args:
            topics: by name.
            troubles: takes what Kafka says of topics and of partitions (`topic/0`) that are left out, by their names.

        Raises:
            KafkaUnavailable: no broker answered within 5 s. Without `troubles` also where none of the topics is told.
        """
        unread: dict[str, str] = {} if troubles is None else troubles
        ids = self.topic_ids(topics, unread)
        partitions = [(topic, p) for topic, (_, count) in sorted(ids.items()) for p in range(count)]
        lows = self._offsets(partitions, EarliestSpec(), troubles=unread)
        highs = self._offsets(partitions, LatestSpec(), troubles=unread)
        if troubles is None and unread and not (lows.keys() & highs.keys()):
            raise KafkaUnavailable("; ".join(f"{name}: {why}" for name, why in sorted(unread.items())))
        return [
            Available(topic, ids[topic][0], partition, lows[topic, partition], highs[topic, partition])
            for topic, partition in partitions
            if (topic, partition) in lows and (topic, partition) in highs
        ]

    def end_offset(self, topic: str, partition: int) -> int:
        """The end of the log, uncommitted transactions included: below it nothing was lost.

        Raises:
            KafkaUnavailable: no broker answered within 5 s.
        """
        found = self._offsets([(topic, partition)], LatestSpec(), IsolationLevel.READ_UNCOMMITTED)
        if not found:
            raise KafkaUnavailable(f"partition {partition} of topic {topic} has no leader")
        return found[topic, partition]

    def create_topic(self, topic: str, partitions: int) -> bool:
        """Create a topic with the broker's default replication; False if it was there already."""
        made = self._admin.create_topics([NewTopic(topic, partitions, -1)], request_timeout=_REQUEST_SECONDS)
        try:
            made[topic].result()
        except KafkaException as error:
            if _kafka_error(error).code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise self._unavailable(error) from None
        return True

    def _offsets(
        self,
        partitions: Iterable[tuple[str, int]],
        spec: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
        troubles: dict[str, str] | None = None,
    ) -> dict[tuple[str, int], int]:
        request = {TopicPartition(topic, partition): spec for topic, partition in partitions}
        if not request:
            return {}
        futures = self._admin.list_offsets(request, isolation_level=isolation, request_timeout=_REQUEST_SECONDS)
        found: dict[tuple[str, int], int] = {}
        for where, future in futures.items():
            try:
                found[where.topic, where.partition] = future.result().offset
            except KafkaException as error:
                # A partition without a leader, or without the right to it, must not keep the others from being read.
                if _of_everybody(error):
                    raise self._unavailable(error) from None
                if troubles is not None:
                    troubles[f"{where.topic}/{where.partition}"] = error_text(error)
        return found

    @cached_property
    def _admin(self) -> AdminClient:
        try:
            options: dict[str, Any] = {**self._common, "error_cb": self._keep}
            return AdminClient(options)
        except KafkaException as error:
            # Wrong options, a file of theirs that cannot be read: librdkafka names the property, not its value.
            raise KafkaUnavailable(f"MILLRACE_KAFKA_OPTIONS: {error_text(error)}") from None

    def _keep(self, error: KafkaError) -> None:
        encrypted = self.options.get("security.protocol", "").upper().endswith("SSL")
        if error.code() in _REFUSALS:
            self._refusals.append(error_text(error))
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and not encrypted and not self._refusals:  # noqa: SLF001
            # A broker that wants TLS hangs up without a word, as one that is down does.
            self._refusals.append("no connection in plain text; for a broker with TLS set security.protocol")

    def _unavailable(self, error: KafkaException) -> KafkaUnavailable:
        """A request that was never sent only tells of a time-out; why it was not, the client says beside it."""
        self._refusals.clear()
        self._admin.poll(0)
        return KafkaUnavailable("; ".join((error_text(error), *self._refusals)))

    @property
    def _common(self) -> dict[str, Any]:
        return {
            "client.id": "millrace",
            "socket.timeout.ms": 10_000,
            "socket.keepalive.enable": True,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1_000,
            "topic.metadata.refresh.interval.ms": 30_000,
            # An outage is told by exceptions; librdkafka would add a line for every attempt to connect.
            "log_level": 2,
            **kafka_options.for_reading(kafka_token.properties(self.options)),
            "bootstrap.servers": self.bootstrap_servers,
        }


def close(consumer: Consumer, seconds: float = _CLOSE_SECONDS) -> bool:
    """Close a consumer, or leave it behind after so long with its threads and connections; whether it was closed.

    librdkafka locks itself out, and `Consumer.close` never returns, where a broker answers that an offset is out of
    range while the consumer ends (confluentinc/librdkafka#4514). That happens behind a damaged batch.
    """
    closing = threading.Thread(target=consumer.close, name="close-consumer", daemon=True)
    closing.start()
    closing.join(seconds)
    if closing.is_alive():
        _LOG.warning("a Kafka consumer did not close within %g s and is left behind", seconds)
    return not closing.is_alive()


def _uuid(found: Any) -> UUID:
    mask = (1 << 64) - 1
    return UUID(int=((found.get_most_significant_bits() & mask) << 64) | (found.get_least_significant_bits() & mask))


def _kafka_error(error: KafkaException) -> KafkaError:
    return error.args[0]


def _of_everybody(error: KafkaException) -> bool:
    """Whether it is not about one topic or partition: the request was not answered, or we are refused."""
    code = _kafka_error(error).code()
    return code in _REFUSALS or code in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._DESTROY)  # noqa: SLF001 - so named


def error_text(error: KafkaError | KafkaException) -> str:
    """What Kafka or its client says, on a line and never long: a broker may put any text into an error.

    Without the source line in OpenSSL, which says nothing to an operator.
    """
    text = (_kafka_error(error) if isinstance(error, KafkaException) else error).str()
    return said(re.sub(r"error:[0-9A-F]+:[^:]{0,200}:[^:]{0,200}:", "", text[:_LONGEST]))


def id_of_log(topic_id: UUID, number: int) -> UUID:
    """The id of a topic-partition's log: Kafka's id of the topic with the log's number in one byte; 0 is Kafka's own.

    A log may lose its end and grow again: other records then stand at offsets that were read already. Kafka gives such
    a log no id of its own. It gets one here, so that a coordinate never means two records.
    """
    packed = bytearray(topic_id.bytes)
    packed[_LOG_BYTE] ^= number
    return UUID(bytes=bytes(packed))


def same_topic(one: UUID, other: UUID) -> bool:
    """Whether two ids are of logs of one topic."""
    return id_of_log(one, log_number(one, other)) == other


def log_number(topic_id: UUID, log_id: UUID) -> int:
    """Which log of a topic it is, from 0."""
    return topic_id.bytes[_LOG_BYTE] ^ log_id.bytes[_LOG_BYTE]


def following_log(topic_id: UUID, log_id: UUID) -> UUID:
    """The id of the log that takes the place of another.

    Raises:
        RuntimeError: it was replaced too often for an id of its own.
    """
    if log_number(topic_id, log_id) == _MOST_LOGS:
        raise RuntimeError(f"a partition's log was overwritten {_MOST_LOGS} times; make its topic anew")
    return id_of_log(topic_id, log_number(topic_id, log_id) + 1)


def current_logs(available: Iterable[Available], committed: Container[tuple[UUID, int]]) -> list[Available]:
    """What Kafka holds, under the ids of the logs that are read now.

    Args:
        available: under Kafka's ids.
        committed: the topic-partitions that are known.
    """
    return [replace(a, topic_id=current_log(a.topic_id, a.partition, committed)) for a in available]


def current_log(topic_id: UUID, partition: int, committed: Container[tuple[UUID, int]]) -> UUID:
    """The id of the log that is read now of a partition."""
    log = 0
    while log < _MOST_LOGS and (id_of_log(topic_id, log + 1), partition) in committed:
        log += 1
    return id_of_log(topic_id, log)
