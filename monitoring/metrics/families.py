"""Values as families of Prometheus: held against the contract, histograms put together.

What belongs here: shapes. What does not: where values come from (`collect`, `totals`) and where they go (`push`).
"""

from collections import defaultdict
from collections.abc import Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from monitoring.metrics.names import BOUNDS, METRICS, Group, MetricName
from monitoring.metrics.totals import INFINITY, SUM, Total

# Values by metric and by the values of its labels in the contract's order.
Samples = Mapping[MetricName, Mapping[tuple[str, ...], float]]


def families(group: Group, samples: Samples) -> list[Metric]:
    """The families of a group of counters and gauges; a metric without a value is left out.

    Raises:
        ValueError: a metric of another group or with other labels. A bug.
    """
    made: list[Metric] = []
    for name, values in sorted(samples.items()):
        metric = METRICS[name]
        make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = make(name, metric.help, labels=metric.labels)
        for labels, value in sorted(values.items()):
            if metric.group != group or metric.kind == "histogram" or len(labels) != len(metric.labels):
                raise ValueError(f"{name}{labels} is not in the group {group} of the contract")
            family.add_metric(labels, value)
        if values:
            made.append(family)
    return made


def from_totals(amounts: Mapping[Total, float]) -> list[Metric]:
    """The families of the totals. A total of a metric that is not in the contract any more is left out."""
    known = {total: amount for total, amount in amounts.items() if total.metric in METRICS}
    counters: defaultdict[MetricName, dict[tuple[str, ...], float]] = defaultdict(dict)
    for total, amount in known.items():
        if total.metric not in BOUNDS:
            counters[total.metric][total.labels] = amount
    return [*families("totals", counters), *(_histogram(name, known) for name in BOUNDS)]


def _histogram(name: MetricName, amounts: Mapping[Total, float]) -> Metric:
    metric = METRICS[name]
    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    bounds = [*(repr(bound) for bound in BOUNDS[name]), INFINITY]
    for labels in sorted({total.labels[:-1] for total in amounts if total.metric == name}):
        inside = [amounts.get(Total(name, (*labels, bound)), 0.0) for bound in bounds]
        family.add_metric(
            labels,
            list(zip(bounds, accumulate(inside), strict=True)),
            amounts.get(Total(name, (*labels, SUM)), 0.0),
        )
    return family
