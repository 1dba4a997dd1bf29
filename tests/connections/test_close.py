"""Consumers that do not end: librdkafka can lock itself out while one closes (confluentinc/librdkafka#4514)."""

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from unittest.mock import Mock

import pytest
from confluent_kafka import Consumer

from resources.kafka import close


@contextmanager
def never_ends() -> Generator[Consumer]:
    """A consumer whose `close` returns only when the test is over."""
    over = threading.Event()
    try:
        yield Mock(Consumer, close=over.wait)
    finally:
        over.set()


def test_a_consumer_that_does_not_end_is_left_behind_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with never_ends() as consumer, caplog.at_level(logging.WARNING):
        assert not close(consumer, seconds=0.1)
    assert "a Kafka consumer did not close within 0.1 s and is left behind" in caplog.text


def test_a_consumer_that_ends_is_closed_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "any", "log_level": 0})
    assert close(consumer)
    assert caplog.text == ""
    with pytest.raises(RuntimeError):
        consumer.poll(0)
