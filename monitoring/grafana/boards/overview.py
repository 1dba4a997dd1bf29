"""*Pipeline*, first section: do events flow? Readable from across the room, red is bad.

What belongs here: the one look. What does not: anything that needs a second one.
"""

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import BigValueTextMode

from monitoring.grafana import colours, links
from monitoring.grafana.layout import Drawn, Section, band
from monitoring.grafana.panels import alerts, number
from monitoring.grafana.parts import About
from monitoring.grafana.queries import now, over_time

_UP = colours.words(good=(1, "up"), bad=(0, "down"))


def section() -> Section:
    """Two rows of numbers, and the alerts."""
    first = band(4, _stored(), _lag(), _unread(), _last_commit(), _errors(), _latency(), _age(), _firing())
    return Section("Do events flow?", [first, band(5, _services(), _alerts(), _version(), widths=(10, 11, 3))])


def _stored() -> Drawn:
    text = "Events that became rows, a second. 0 is right only if nothing is produced: look at the lag beside it."
    away = (links.asset("raw/events in Dagster", "raw/events"), links.runs("Runs of ingest", "job:ingest"))
    about = About("Stored", text, units.EventsPerSecond, "MillraceNotCommitting", away)
    return number(about, over_time('sum(rate(millrace_events_total{outcome="stored"}[$window]))'))


def _lag() -> Drawn:
    text = "Offsets in Kafka that are not committed yet. A second's worth of traffic is usual; growth is not."
    query = over_time('sum(millrace_consumer_lag_events{topic=~"$topic"})')
    return number(
        About("Lag", text, units.Short, "MillraceNotCommitting"), query, limits=colours.rising(10_000, 100_000)
    )


def _unread() -> Drawn:
    text = "How long the oldest event waits that is not committed. Orange from 15 s; alerts at 60 s and 10 min."
    about = About("Oldest unread", text, units.Seconds, "MillraceLagSeconds")
    return number(about, over_time("max(millrace_oldest_unread_seconds)"), limits=colours.rising(15, 60))


def _last_commit() -> Drawn:
    text = "Since the newest commit of any lane. Alone it is no alarm: without traffic nothing is committed."
    about = About("Last commit ago", text, units.Seconds, "MillraceNotCommitting")
    return number(about, over_time("time() - max(millrace_last_commit_timestamp_seconds)"), empty="never")


def _errors() -> Drawn:
    text = "Dead letters among all records of the last 5 minutes; red is where the alert is. Empty without traffic."
    about = About("Error ratio", text, units.PercentUnit, "MillraceErrorRatio")
    return number(about, over_time("millrace:error:ratio5m"), limits=colours.rising(0.002, 0.01), empty="no traffic")


def _latency() -> Drawn:
    text = "95 of 100 records were committed within this time of their Kafka timestamp. Empty without traffic."
    quantile = "histogram_quantile(0.95, sum by (le) (rate(millrace_end_to_end_seconds_bucket[$window]))) >= 0"
    about = About("End to end, p95", text, units.Seconds, "MillraceLagSeconds")
    return number(about, over_time(quantile), limits=colours.rising(5, 30), empty="no traffic")


def _age() -> Drawn:
    text = "Since the oldest of the pushes that come every few seconds. Red: everything else here may be of the past."
    about = About("Metrics are old", text, units.Seconds, "MillraceMetricsStale")
    query = 'time() - min(push_time_seconds{job="millrace",collector=~"totals|lag|health|state"})'
    return number(about, over_time(query), limits=colours.rising(30, 60), empty="no metrics")


def _firing() -> Drawn:
    text = "Alerts of Millrace that fire now; beside the services they are listed with their runbooks."
    about = About("Firing alerts", text, units.Short)
    query = over_time('count(ALERTS{alertstate="firing",alertname=~"Millrace.*"}) or vector(0)')
    return number(about, query, limits=colours.rising(bad=1))


def _services() -> Drawn:
    text = "Whether each service answers. Without Kafka or PostgreSQL nothing flows; without Redis it is slower; "
    text += "without the broker no run starts; without the Pushgateway all of this stands still. Nothing is lost by it."
    about = About("Services", text, units.NoUnit, "MillraceKafkaDown")
    asked = [
        now("max by (dependency) (millrace_dependency_up)", "{{dependency}}"),
        now('max by (job) (up{job="pushgateway"})', "{{job}}", "B"),
    ]
    return number(about, *asked, limits=colours.falling(1), mappings=_UP, text=BigValueTextMode.VALUE_AND_NAME)


def _alerts() -> Drawn:
    text = "What fires and what is about to. Open one to read what it means, and follow its runbook."
    return alerts(About("Alerts", text, units.NoUnit))


def _version() -> Drawn:
    about = About("Version", "The version of Millrace that pushed this.", units.NoUnit)
    query = now("max by (version) (millrace_build_info)", "{{version}}")
    return number(about, query, text=BigValueTextMode.NAME)
