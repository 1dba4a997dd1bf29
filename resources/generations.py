"""Which log of a partition is meant: Kafka's id of the topic, or an id that differs from it in one byte.

A partition's log may lose its end and grow again: other records then stand at offsets that were read already. Such a
log is another one, as that of a topic that was deleted and made again, but Kafka gives it no id of its own. It gets one
here: Kafka's, with the number of the log in a byte, so that a coordinate never means two records. What belongs here:
these ids. What does not: how it is found out (`assets.ingest.log_replacement`).
"""

from collections.abc import Container, Iterable
from dataclasses import replace
from uuid import UUID

from resources.kafka import Available

_BYTE = 6
_MOST = 255


def of_log(topic_id: UUID, number: int) -> UUID:
    """The id of a log; number 0 has Kafka's own."""
    packed = bytearray(topic_id.bytes)
    packed[_BYTE] ^= number
    return UUID(bytes=bytes(packed))


def same_topic(one: UUID, other: UUID) -> bool:
    """Whether two ids are of logs of one topic."""
    return of_log(one, number(one, other)) == other


def number(topic_id: UUID, log_id: UUID) -> int:
    """Which log of a topic it is, from 0."""
    return topic_id.bytes[_BYTE] ^ log_id.bytes[_BYTE]


def following(topic_id: UUID, log_id: UUID) -> UUID:
    """The id of the log that takes the place of another.

    Raises:
        RuntimeError: it was replaced too often for an id of its own.
    """
    if number(topic_id, log_id) == _MOST:
        raise RuntimeError(f"a partition's log was overwritten {_MOST} times; make its topic anew")
    return of_log(topic_id, number(topic_id, log_id) + 1)


def current(available: Iterable[Available], committed: Container[tuple[UUID, int]]) -> list[Available]:
    """What Kafka holds, under the ids of the logs that are read now.

    Args:
        available: under Kafka's ids.
        committed: the places that are known.
    """
    return [replace(a, topic_id=current_id(a.topic_id, a.partition, committed)) for a in available]


def current_id(topic_id: UUID, partition: int, committed: Container[tuple[UUID, int]]) -> UUID:
    """The id of the log that is read now of a partition."""
    log = 0
    while log < _MOST and (of_log(topic_id, log + 1), partition) in committed:
        log += 1
    return of_log(topic_id, log)
