"""Counting without services: histograms, labels, and the names of reasons to try again."""

from bisect import bisect_left

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.ingest.event_writer import PartitionMissing
from assets.ingest.retry import retry_kind
from monitoring.metrics.names import END_TO_END_BOUNDS
from monitoring.metrics.totals import INFINITY, SUM, Totals
from resources.kafka import KafkaUnavailable
from resources.postgres import CommitLost

_seconds = st.one_of(st.floats(-1e6, 1e6), st.sampled_from(END_TO_END_BOUNDS))


@given(st.lists(_seconds, max_size=50))
def test_a_histogram_holds_each_value_in_the_first_bucket_whose_bound_it_does_not_exceed(values: list[float]) -> None:
    totals, expected = Totals(), dict[str, float]()
    totals.observe("millrace_end_to_end_seconds", values)
    for value in values:
        at = bisect_left(END_TO_END_BOUNDS, max(0.0, value))
        bound = repr(END_TO_END_BOUNDS[at]) if at < len(END_TO_END_BOUNDS) else INFINITY
        expected[bound] = expected.get(bound, 0) + 1
    found = {total.labels[0]: amount for total, amount in totals.items()}
    assert found.pop(SUM, 0) == pytest.approx(sum(max(0.0, value) for value in values))
    assert found == expected


def test_totals_neither_fall_nor_take_labels_that_the_contract_does_not_know() -> None:
    totals = Totals()
    totals.count("millrace_batches_total", "committed", by=-3)
    assert totals == {}
    with pytest.raises(ValueError, match="has the labels"):
        totals.count("millrace_batches_total")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DeadlockDetected(), "deadlock"),
        (psycopg.errors.LockNotAvailable(), "lock_timeout"),
        (psycopg.errors.SerializationFailure(), "serialization"),
        (psycopg.errors.AdminShutdown(), "connection"),
        (psycopg.errors.ConnectionFailure(), "connection"),
        (psycopg.errors.IdleInTransactionSessionTimeout(), "connection"),
        (psycopg.OperationalError("no answer"), "connection"),
        (psycopg.InterfaceError("the connection is closed"), "connection"),
        (CommitLost(), "connection"),
        (PartitionMissing(), "partition"),
        (KafkaUnavailable(), "kafka"),
        (psycopg.errors.DiskFull(), "other"),
        (psycopg.errors.QueryCanceled(), "other"),
    ],
)
def test_a_retry_is_named_after_what_went_wrong(error: Exception, kind: str) -> None:
    assert retry_kind(error) == kind
