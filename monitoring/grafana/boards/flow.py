"""*Pipeline*: throughput and lag.

What belongs here: what flows, and what waits. What does not: how long it takes (`latency`), what goes wrong (`faults`).
"""

from grafana_foundation_sdk.models import units

from monitoring.grafana import colours, links
from monitoring.grafana.layout import Drawn, Section, band
from monitoring.grafana.panels import lines, stacked
from monitoring.grafana.parts import About
from monitoring.grafana.queries import listed, over_time
from monitoring.grafana.tables import grid, hidden

_OUTCOMES = ("stored", "duplicate", "dead_letter", "tombstone", "erased", "expired")
_INGEST = links.runs("Runs of ingest in Dagster", "job:ingest")


def throughput() -> Section:
    """What comes in, and what becomes of it."""
    return Section("Throughput", [band(8, _by_outcome(), _by_type(), _yesterday(), _by_lane(), widths=(8, 6, 5, 5))])


def lag() -> Section:
    """What waits, and who works."""
    first = band(8, _partitions(), _unread(), _queues(), _in_flight())
    return Section("Lag", [first, band(6, _withheld(), _left_out(), widths=(16, 8))])


def _by_outcome() -> Drawn:
    text = "Records by what became of them: stored, duplicate, dead letter, tombstone, erased, expired. "
    about = About("Records by outcome", text + "Together they are all that Kafka had.", units.RecordsPerSecond)
    query = over_time("sum by (outcome) (rate(millrace_events_total[$__rate_interval]))", "{{outcome}}")
    return stacked(about, query, named=_OUTCOMES)


def _by_type() -> Drawn:
    query = 'sum by (type) (rate(millrace_events_total{outcome="stored"}[$__rate_interval]))'
    about = About("Stored by type", "Events that became rows, by their type.", units.EventsPerSecond)
    return stacked(about, over_time(query, "{{type}}"))


def _yesterday() -> Drawn:
    text = (
        "What producers send, over 15 minutes, and the hour around the same time a day before: what the alerts compare."
    )
    about = About("Against the day before", text, units.EventsPerSecond, "MillraceTrafficDrop")
    before = over_time("millrace:arrivals:day_before", "a day before", "B")
    asked = over_time("millrace:arrivals:rate15m", "now"), before
    drawn = lines(about, *asked, calcs=("mean", "lastNotNull"), named=("now", "a day before"))
    return drawn.no_value(
        "Nothing to compare yet: it takes records of 15 minutes, and a day for the line of the day before."
    )


def _by_lane() -> Drawn:
    text = "Records that each lane accounts for. Lanes share the partitions: one that stands still alone is stuck."
    about = About("Records by lane", text, units.RecordsPerSecond, "MillraceNotCommitting", [_INGEST])
    query = "sum by (lane) (rate(millrace_lane_records_total[$__rate_interval]))"
    return stacked(about, over_time(query, "lane {{lane}}"))


def _partitions() -> Drawn:
    text = "Offsets that are not committed yet. One partition grows alone: its lane is stuck, or a producer floods it."
    about = About("Lag by partition", text, units.Short, "MillraceNotCommitting", [_INGEST])
    query = 'sum by (topic, partition) (millrace_consumer_lag_events{topic=~"$topic"})'
    return lines(about, over_time(query, "{{topic}}/{{partition}}"), calcs=("max", "lastNotNull"))


def _unread() -> Drawn:
    text = (
        "Age of the oldest record that is not committed, by its Kafka timestamp. The lines are where the alerts stand."
    )
    about = About("Oldest unread record", text, units.Seconds, "MillraceLagSeconds")
    query = over_time("max(millrace_oldest_unread_seconds)", "oldest unread")
    return lines(about, query, limits=colours.rising(60, 600), calcs=("max", "lastNotNull"))


def _queues() -> Drawn:
    text = "Runs that wait in Celery's broker for a worker. Above 0 for long: workers are gone, or too few."
    about = About("Queue depth", text, units.Short, "MillraceQueueStuck")
    return lines(about, over_time("max by (queue) (millrace_queue_depth)", "{{queue}}"), calcs=("max", "lastNotNull"))


def _in_flight() -> Drawn:
    link = links.runs("These runs in Dagster", "job:${__field.labels.run_job}", "status:STARTED")
    about = About(
        "Runs in flight", "Dagster runs that have not ended, by job.", units.Short, "MillraceQueueStuck", [link]
    )
    query = over_time("max by (run_job) (millrace_runs_in_flight)", "{{run_job}}")
    return lines(about, query, calcs=("max", "lastNotNull"))


def _withheld() -> Drawn:
    text = "Partitions that Kafka does not hand out, where they stand, and why. The others go on. Empty is good."
    about = About("Partitions that cannot be read", text, units.Short, "MillracePartitionUnreadable")
    query = "max by (topic, partition, at_offset, error) (millrace_partition_unreadable)"
    return hidden(hidden(grid(about, listed(query)), "Time"), "Value")


def _left_out() -> Drawn:
    text = "Unread records of topics that are not in MILLRACE_KAFKA_TOPICS any more. Empty is good."
    about = About("Topics left out", text, units.Short, "MillraceTopicLeftOut")
    query = "max by (topic) (millrace_topic_left_out_events)"
    return hidden(grid(about, listed(query), sort="Value"), "Time")
