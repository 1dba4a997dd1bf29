"""Counters that are exported as 0 before they count: one that first appears at 500 is invisible to `rate()`.

What belongs here: the values of labels that are known in advance. A test holds them against the code that counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from types import MappingProxyType

from contract.codes import RejectionCode
from monitoring.metrics.names import NONE, MetricName
from monitoring.metrics.totals import INFINITY, Total

LOGIN_FLAGS = (
    *("new_device", "new_address", "many_users_from_address", "many_addresses_for_user"),
    *("burst", "overlapping_sessions", "logout_without_login"),
)
RESULTS_OF_RUNS = ("success", "failure", "canceled")
# Of an event, and of a record that is none; the others are of either.
_OF_EVENTS, _OF_OTHERS = ("stored",), ("dead_letter", "tombstone")
_OF_EITHER = ("duplicate", "erased", "expired")

# By metric, for each label the values that it can have.
_KNOWN: Mapping[MetricName, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "millrace_events_total": ((*_OF_OTHERS, *_OF_EITHER), (NONE,)),
        "millrace_rejections_total": (tuple(code.value for code in RejectionCode),),
        "millrace_batches_total": (("committed", "already_committed", "topic_replaced", "failed"),),
        "millrace_duplicates_total": (("redis", "postgres"),),
        "millrace_retries_total": (
            ("deadlock", "lock_timeout", "serialization", "connection", "partition", "kafka", "other"),
        ),
        "millrace_redrives_total": (("stored", "duplicate", "refused", "erased", "expired"),),
        "millrace_gap_offsets_total": (),
        "millrace_gaps_total": (("expired", "recreated", "went_backwards", "overwritten", "unreadable"),),
        "millrace_login_anomalies_total": (LOGIN_FLAGS, ("recent", "late")),
        "millrace_push_failures_total": (("unreachable", "timeout", "refused"),),
        "millrace_end_to_end_seconds": ((INFINITY,),),
        "millrace_batch_seconds": (("pull", "decode", "claim", "frame", "store"), (INFINITY,)),
    }
)


def preset_counters(types: Sequence[str], jobs: Sequence[str]) -> Iterator[Total]:
    """Every total that can be known before it counts.

    Args:
        types: the types of events.
        jobs: the Dagster jobs.
    """
    for metric, values in _KNOWN.items():
        yield from (Total(metric, labels) for labels in product(*values))
    yield from (Total("millrace_events_total", labels) for labels in product((*_OF_EVENTS, *_OF_EITHER), types))
    yield from (Total("millrace_runs_total", labels) for labels in product(jobs, RESULTS_OF_RUNS))
