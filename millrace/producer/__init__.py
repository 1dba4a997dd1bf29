"""Simulated traffic: users with sessions, written to Kafka. Knows nothing of how events are stored.

`run(ProducerConfig(...))` is all that others need; `millrace produce` is a thin layer on top of it.
"""

from millrace.producer.config import ProducerConfig, ProducerError, Shares, TopicMissingError
from millrace.producer.runner import run
from millrace.producer.tally import Progress, Summary

__all__ = ["ProducerConfig", "ProducerError", "Progress", "Shares", "Summary", "TopicMissingError", "run"]
