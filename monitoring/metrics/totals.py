"""The totals behind the counters: added in the very transaction that they count, summed when they are pushed.

What belongs here: adding and reading. What does not: deciding what counts (the code that stores), and pushing.

A counter that is derived from a table of what there is would go backwards with every redrive, erasure and folding, and
Prometheus takes that for a restart. So totals only grow, a row each in `ops.totals`, by lane: no two lanes ever wait
for each other's row.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from monitoring.metrics.names import BOUNDS, METRICS, MetricName
from monitoring.metrics.sql import statement
from resources.postgres import Connection

# The "lane" of what no lane does: redrives, erasures, retention, aggregates, Dagster's runs.
NO_LANE = -1
SUM, INFINITY = "sum", "+Inf"


class Total(NamedTuple):
    """Which total: a metric and the values of its labels in the contract's order.

    A histogram has one total for each bucket, with its upper bound as one more value, and one for the sum (`SUM`).
    """

    metric: MetricName
    labels: tuple[str, ...] = ()


class Totals(defaultdict[Total, float]):
    """What is to be added to the totals."""

    def __init__(self) -> None:
        super().__init__(float)

    def count(self, metric: MetricName, *labels: str, by: float = 1) -> None:
        """Count something; nothing happens unless `by` is above 0, for totals only grow.

        Raises:
            ValueError: the metric has other labels. A bug.
        """
        if len(labels) != len(METRICS[metric].labels):
            raise ValueError(f"{metric} has the labels {METRICS[metric].labels}")
        if by > 0:
            self[Total(metric, labels)] += by

    def observe(self, metric: MetricName, values: "Sequence[float] | np.ndarray[Any, Any]", *labels: str) -> None:
        """Put values, in seconds, into a histogram. A clock that was set back counts as 0."""
        if len(values) == 0:
            return
        bounds = BOUNDS[metric]
        seconds = np.maximum(np.asarray(values, dtype=np.float64), 0.0)
        # A bucket holds what is at most its bound.
        for at, found in enumerate(np.bincount(np.searchsorted(bounds, seconds), minlength=len(bounds) + 1).tolist()):
            if found:
                self[Total(metric, (*labels, repr(bounds[at]) if at < len(bounds) else INFINITY))] += found
        self[Total(metric, (*labels, SUM))] += float(seconds.sum())

    def add(self, others: Mapping[Total, float]) -> None:
        """Count what others counted."""
        for total, amount in others.items():
            self[total] += amount

    def write(self, connection: Connection, lane: int) -> None:
        """Add all of it, in the order of the key: last before COMMIT in the transaction that did what is counted."""
        if not self:
            return
        ordered = sorted(self.items())
        connection.execute(
            statement("add_totals"),
            {
                "lane": lane,
                "metrics": [total.metric for total, _ in ordered],
                "labels": ["\x1f".join(total.labels) for total, _ in ordered],
                "amounts": [amount for _, amount in ordered],
            },
        )


def read(connection: Connection) -> Mapping[Total, float]:
    """All totals, over all lanes."""
    found = connection.execute(statement("read_totals"))
    return {Total(metric, tuple(labels)): amount for metric, labels, amount in found}
