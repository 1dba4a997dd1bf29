"""*Pipeline*: what goes wrong: runs that fail, and data that is refused, doubled or lost.

What belongs here: failures and their causes. What does not: what follows from them (`flow`, `state`).
"""

from grafana_foundation_sdk.models import units

from monitoring.grafana import colours, links
from monitoring.grafana.layout import Drawn, Section, band
from monitoring.grafana.panels import lines, ranking, stacked, states
from monitoring.grafana.parts import About
from monitoring.grafana.queries import listed, now, over_time
from monitoring.grafana.tables import grid, hidden

_DEAD_LETTERS = links.asset("raw/dead_letters in Dagster", "raw/dead_letters")


def runs() -> Section:
    """Success and failure of what works."""
    first = band(8, _results(), _failed(), _causes())
    return Section("Success and failure", [first, band(8, _chunks(), _retries(), _pushes())])


def data() -> Section:
    """Dead letters, duplicates, gaps."""
    dead_letters = band(8, _errors(), _rejections(), _open(), _redrives(), widths=(6, 8, 5, 5))
    doubles = band(8, _duplicates(), _ratio(), _degraded(), _gaps())
    return Section("Dead letters, duplicates, losses", [dead_letters, doubles])


def _results() -> Drawn:
    text = "Ended Dagster runs by result. Canceled ones were stopped by a person or took too long."
    away = [links.runs("Failed runs in Dagster", "status:FAILURE")]
    about = About("Runs by result", text, units.OpsPerSecond, "MillraceRunFailures", away)
    query = over_time("sum by (result) (rate(millrace_runs_total[$__rate_interval]))", "{{result}}")
    return stacked(about, query, named=("success", "failure", "canceled"))


def _failed() -> Drawn:
    away = [links.runs("Its failed runs in Dagster", "job:${__field.labels.run_job}", "status:FAILURE")]
    text = "Failed among ended runs of the last 15 minutes, by job. A job without runs has no line."
    about = About("Failed runs by job", text, units.PercentUnit, "MillraceRunFailures", away)
    query = over_time("run_job:millrace_runs_failed:ratio15m", "{{run_job}}")
    return lines(about, query, calcs=("max", "lastNotNull"))


def _causes() -> Drawn:
    text = "Why runs failed within the time range, most often first. The sensor run_failures reports each cause once."
    about = About("Failures by cause", text, units.Short, "MillraceRunFailures")
    # A cause that is new has no growth yet in the eyes of increase(): its first value is what it has grown by.
    total, by = "millrace_run_failures_total", "sum by (run_job, cause)"
    new = f"{by} ({total}) unless {by} ({total} offset $__range)"
    grown = f"{by} ({total} - min_over_time({total}[$__range]))"
    return hidden(grid(about, listed(f"topk(20, {new} or {grown}) > 0"), sort="Value"), "Time")


def _chunks() -> Drawn:
    text = "Chunks by result. already_committed: another run was first, harmless. failed: the next run tries again."
    about = About("Chunks by result", text, units.OpsPerSecond, "MillraceRunFailures")
    query = over_time("sum by (result) (rate(millrace_batches_total[$__rate_interval]))", "{{result}}")
    return stacked(about, query, named=("committed", "already_committed", "topic_replaced", "failed"))


def _retries() -> Drawn:
    text = "Transactions that were tried again, by why. Some are usual with many lanes; nothing is lost by them."
    about = About("Retries by kind", text, units.OpsPerSecond)
    return stacked(about, over_time("sum by (kind) (rate(millrace_retries_total[$__rate_interval]))", "{{kind}}"))


def _pushes() -> Drawn:
    text = "Pushes of metrics that failed, by why. It costs metrics, never data; totals catch up with the next push."
    about = About("Failed pushes", text, units.OpsPerSecond, "MillracePushFailures")
    query = over_time("sum by (reason) (rate(millrace_push_failures_total[$__rate_interval]))", "{{reason}}")
    return stacked(about, query)


def _errors() -> Drawn:
    text = "Dead letters among all records, over 5 minutes. Empty without traffic."
    about = About("Error ratio over time", text, units.PercentUnit, "MillraceErrorRatio", [_DEAD_LETTERS])
    return lines(about, over_time("millrace:error:ratio5m", "error ratio"), limits=colours.rising(bad=0.01))


def _rejections() -> Drawn:
    text = "Records that were refused, by rejection code (docs/events.md). Many of one code: a producer has changed."
    about = About("Refused by code", text, units.RecordsPerSecond, "MillraceDeadLetterStorm", [_DEAD_LETTERS])
    return stacked(
        about, over_time("sum by (code) (rate(millrace_rejections_total[$__rate_interval])) > 0", "{{code}}")
    )


def _open() -> Drawn:
    text = "Dead letters that nobody has redriven or discarded yet: millrace dead-letters list."
    about = About("Open dead letters", text, units.Short, "MillraceDeadLetterStorm", [_DEAD_LETTERS])
    return ranking(about, now("sort_desc(max by (code) (millrace_dead_letters_open) > 0)", "{{code}}"))


def _redrives() -> Drawn:
    text = "Dead letters that were tried again, by what came of it."
    about = About("Redrives", text, units.Short)
    query = over_time("sum by (result) (increase(millrace_redrives_total[$__interval]))", "{{result}}")
    return stacked(about, query, bars=True, named=("stored", "duplicate", "refused")).interval("1m")


def _duplicates() -> Drawn:
    text = "Duplicates by who recognised them. PostgreSQL's share grows when Redis has forgotten the ids, or is gone."
    about = About("Duplicates by source", text, units.RecordsPerSecond, "MillraceDuplicatesSpike")
    query = over_time("sum by (source) (rate(millrace_duplicates_total[$__rate_interval]))", "{{source}}")
    return stacked(about, query, named=("redis", "postgres"))


def _ratio() -> Drawn:
    text = "Duplicates among all records, over 5 minutes. A jump is a producer that sends again what it had sent."
    about = About("Duplicates ratio", text, units.PercentUnit, "MillraceDuplicatesSpike")
    return lines(about, over_time("millrace:duplicates:ratio5m", "duplicates ratio"), limits=colours.rising(0.2))


def _degraded() -> Drawn:
    text = "Red: Redis cannot be asked for ids, and PostgreSQL alone de-duplicates. That is slower, and loses nothing."
    words = colours.words(good=(0, "with Redis"), bad=(1, "PostgreSQL alone"))
    about = About("De-duplication", text, units.NoUnit, "MillraceDedupDegraded")
    return states(about, over_time("max(millrace_dedup_degraded)", "dedup"), mappings=words)


def _gaps() -> Drawn:
    text = (
        "Data lost at the source, ever: how often, by why; how many offsets, where that is known. Any step is an alarm."
    )
    about = About("Losses at the source", text, units.Short, "MillraceGapRecorded")
    asked = [
        over_time("sum by (reason) (millrace_gaps_total)", "{{reason}}"),
        over_time("sum(millrace_gap_offsets_total)", "offsets lost", "B"),
    ]
    return lines(about, *asked, calcs=("lastNotNull", "diff"))
