"""A history of every metric of the contract, put into a Prometheus of its own; and a shop's events, put into a world.

What belongs here: data that leaves no panel empty. What does not: asking for it (`test_dashboards`).
Metrics take the way that real ones take: totals and samples through `monitoring.metrics.families`.
"""

import math
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from prometheus_client.core import Metric
from psycopg.conninfo import make_conninfo

from contract.contract import Contract
from infra.postgres.analyst_role import ROLE, Analysts
from infra.postgres.migrate import migrate
from monitoring.metrics.families import Samples, families, from_totals
from monitoring.metrics.names import BOUNDS, METRICS, Group, MetricName
from monitoring.metrics.preset_counters import preset_counters
from monitoring.metrics.totals import Total, Totals
from tests.access import story
from tests.support.world import World, encoded, event

PASSWORD = "an analyst's password"
JOBS = ("ingest", "refresh_aggregates")
STEP, RECENT, YESTERDAY = 20, 2 * 3600, 26 * 3600

_TABLES = (
    "raw.events",
    "raw.dead_letters",
    "ops.batches",
    "analytics.pages_hourly",
    "dagster.event_logs",
    "dagster.runs",
)
_LABELS: Mapping[str, tuple[str, ...]] = {
    "topic": ("user-events",),
    "partition": ("0", "1"),
    "at_offset": ("3",),
    "error": ("BAD_MSG: CRC",),
    "queue": ("ingest", "aggregates", "default"),
    "run_job": JOBS,
    "dependency": ("kafka", "postgres", "redis", "broker"),
    "version": ("0.1.0",),
    "check": ("hours_match_events", "no_hour_waits_too_long"),
    "server": ("claims", "broker"),
    "code": ("not_json", "unknown_type"),
    "table": _TABLES,
}


def history(end: float) -> str:
    """OpenMetrics text of the last two hours, and of an hour a day before."""
    found: dict[tuple[str, int], float] = {}
    for at in _instants(end):
        for labels, family in _pushed(at, end):
            for sample in family.samples:
                shown = ",".join(f'{k}="{v}"' for k, v in sorted({**labels, **sample.labels}.items()))
                found[f"{sample.name}{{{shown}}}", at] = sample.value
        found.update({(series, at): value for series, value in _others(at)})
    return "".join(f"{series} {value:.6f} {at}\n" for (series, at), value in sorted(found.items())) + "# EOF\n"


def _instants(end: float) -> Iterator[int]:
    yield from range(int(end) - YESTERDAY, int(end) - YESTERDAY + 3 * 3600, 60)
    yield from range(int(end) - RECENT, int(end), STEP)


def _pushed(at: float, end: float) -> Iterator[tuple[dict[str, str], Metric]]:
    """What a push at this time would hold, with its grouping key."""
    seconds = at - (end - YESTERDAY)
    for family in from_totals(_totals(seconds)):
        yield {"job": "millrace", "collector": "totals"}, family
    for lane in ("0", "1"):
        moved: Samples = {
            "millrace_lane_records_total": {(): 60 * seconds},
            "millrace_last_commit_timestamp_seconds": {(): at - 1},
        }
        yield from (({"job": "millrace", "collector": "lane", "lane": lane}, each) for each in families("lane", moved))
    groups: tuple[Group, ...] = ("lag", "health", "state", "storage")
    for group in groups:
        gauges: Samples = {name: _gauge(name, seconds) for name, metric in METRICS.items() if metric.group == group}
        yield from (({"job": "millrace", "collector": group}, each) for each in families(group, gauges))


def _totals(seconds: float) -> Totals:
    """Every counter, each at its own pace, and histograms in which all buckets are hit."""
    totals = Totals()
    for total in preset_counters(tuple(each.name for each in Contract().values()), JOBS):
        if total.metric not in BOUNDS:
            totals[total] = seconds * (0.05 + _chance(*total.labels))
    for job in JOBS:
        totals[Total("millrace_run_failures_total", (job, "DatabaseUnavailable"))] = seconds / 300
    totals.update({total: seconds * 2 * amount for total, amount in _observed().items()})
    return totals


def _observed() -> Totals:
    observed = Totals()
    observed.observe("millrace_end_to_end_seconds", (*BOUNDS["millrace_end_to_end_seconds"], 9e9))
    for step in ("pull", "decode", "claim", "frame", "store"):
        observed.observe("millrace_batch_seconds", (0.003, 0.02, 0.2 + _chance(step)), step)
    return observed


def _gauge(name: MetricName, seconds: float) -> dict[tuple[str, ...], float]:
    """A value for each combination of labels; sizes grow, states are well, the rest goes up and down."""
    found: dict[tuple[str, ...], float] = {(): 0.0}
    for label in METRICS[name].labels:
        found = {(*values, each): 0.0 for values in found for each in _LABELS[label]}
    level = {"millrace_database_bytes": 1e9, "millrace_database_capacity_bytes": 5e10}.get(name, 100)
    for values in found:
        wave = 20 * math.sin(seconds / 300 + 6 * _chance(name, *values))
        found[values] = level + (seconds * 1e3 if name.endswith("_bytes") and "capacity" not in name else wave)
    if name in ("millrace_dependency_up", "millrace_check_passed", "millrace_build_info", "millrace_dedup_degraded"):
        return dict.fromkeys(found, float(name != "millrace_dedup_degraded"))
    return found


def _others(at: int) -> Iterator[tuple[str, float]]:
    """What comes from the Pushgateway, from Prometheus's alerts, and what it recorded a day before."""
    for collector in ("totals", "lane", "lag", "health", "state", "storage"):
        yield f'push_time_seconds{{job="millrace",collector="{collector}"}}', at - 2
    yield 'up{job="pushgateway"}', 1
    yield "millrace:arrivals:rate15m", 120
    for name, severity in (("MillraceLagSeconds", "warning"), ("MillraceGapRecorded", "critical")):
        yield f'ALERTS{{alertname="{name}",alertstate="firing",severity="{severity}"}}', 1


def _chance(*about: object) -> float:
    return zlib.crc32("/".join(map(str, about)).encode()) / 2**32


def open_to_analysts(world: World) -> None:
    """Analysts can log in."""
    migrate(world.settings.postgres_url, analysts=Analysts(PASSWORD))


def analysts_url(world: World) -> str:
    """How they do."""
    return make_conninfo(world.settings.postgres_url, user=ROLE, password=PASSWORD)


def open_shop(world: World) -> None:
    """The four weeks of `story`, which end yesterday, and some events of this minute; analysts can log in."""
    open_to_analysts(world)
    shift = (datetime.now(UTC).date() - timedelta(days=1)) - story.TODAY
    past = [_moved(each, shift) for each in story.events()]
    world.produce([*encoded(*past, *(event() for _ in range(20))), b"garbage"])
    world.ingest()
    world.refresh()


def _moved(every: dict[str, Any], shift: timedelta) -> dict[str, Any]:
    day = date.fromisoformat(every["timestamp"][:10]) + shift
    return {**every, "timestamp": f"{day.isoformat()}{every['timestamp'][10:]}"}
