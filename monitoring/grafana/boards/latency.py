"""*Pipeline*: how long it takes, from Kafka to COMMIT, and which step takes it.

What belongs here: latencies and step times. What does not: how much waits (`flow`).
"""

from grafana_foundation_sdk.models import units

from monitoring.grafana.layout import Drawn, Section, band
from monitoring.grafana.panels import density, lines, stacked
from monitoring.grafana.parts import About
from monitoring.grafana.queries import buckets, over_time


def section() -> Section:
    """Quantiles, all of it, and the steps."""
    return Section("Latency", [band(8, _quantiles(), _heatmap()), band(8, _shares(), _steps())])


def _quantiles() -> Drawn:
    text = "From a record's Kafka timestamp to the commit that accounts for it, over 5 minutes. Empty without traffic."
    about = About("End to end", text, units.Seconds, "MillraceLagSeconds")
    asked = [over_time(f"millrace:end_to_end_seconds:{each}_5m", each, each) for each in ("p50", "p95", "p99")]
    return lines(about, *asked, named=("p50", "p95", "p99"))


def _heatmap() -> Drawn:
    text = "How many records a second took how long. Two bands are two kinds of traffic: live, and a backlog."
    query = "sum by (le) (rate(millrace_end_to_end_seconds_bucket[$__rate_interval]))"
    return density(About("End to end, all records", text, units.Seconds), buckets(query))


def _shares() -> Drawn:
    text = (
        "Of the time that chunks took, the part of each step. store is PostgreSQL, claim Redis, pull waiting for Kafka."
    )
    about = About("Where the time goes", text, units.PercentUnit)
    return stacked(about, over_time("step:millrace_batch_seconds:share5m", "{{step}}"), percent=True)


def _steps() -> Drawn:
    text = "19 of 20 chunks spent at most this long in the step, over 5 minutes."
    about = About("Seconds of a step, p95", text, units.Seconds)
    return lines(about, over_time("step:millrace_batch_seconds:p95_5m", "{{step}}"))
