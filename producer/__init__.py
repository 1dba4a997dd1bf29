"""Simulated traffic: users with sessions, written to Kafka. Knows nothing of how events are stored.

`run(ProducerConfig(...))` is all that others need; `millrace produce` is a thin layer on top of it. Beside it stand the
events of a file (`event_file`, `file_sender`), for `millrace validate` and `millrace send`.
"""

from producer.config import ProducerConfig, ProducerError, Shares, TopicMissingError
from producer.runner import run
from producer.tally import SendProgress, Summary

__all__ = ["ProducerConfig", "ProducerError", "SendProgress", "Shares", "Summary", "TopicMissingError", "run"]
