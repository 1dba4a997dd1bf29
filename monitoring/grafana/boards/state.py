"""*Pipeline*: whether the tables are up to date and exact, and how they grow.

What belongs here: states and sizes. What does not: what flows into them (`flow`).
"""

from grafana_foundation_sdk.models import units

from monitoring.grafana import colours, links
from monitoring.grafana.layout import Drawn, Section, band
from monitoring.grafana.panels import lines, number, stacked, states
from monitoring.grafana.parts import About
from monitoring.grafana.queries import over_time

_SIZES = "max by (table) (millrace_table_bytes%s)"
_DAGSTER = '{table=~"dagster[.].*"}'
_OURS = '{table!~"dagster[.].*"}'


def aggregates() -> Section:
    """Fresh and exact?"""
    return Section("Aggregates", [band(8, _staleness(), _waiting(), _checks(), widths=(9, 6, 9))])


def storage() -> Section:
    """How much there is, and how long it will fit."""
    first = band(8, _bytes(), _dagster(), _rows(), widths=(9, 6, 9))
    return Section("Storage", [first, band(8, _days(), _database(), _growth(), _redis(), widths=(4, 6, 7, 7))])


def _staleness() -> Drawn:
    link = links.asset("The table in Dagster", "analytics/${__field.labels.table}")
    text = (
        "How long the oldest event that a table lacks has been stored. 15 s is what is promised for the current hour."
    )
    about = About("Staleness by table", text, units.Seconds, "MillraceAggregatesStale", [link])
    query = over_time("max by (table) (millrace_aggregate_staleness_seconds)", "{{table}}")
    return lines(about, query, limits=colours.rising(bad=120), calcs=("max", "lastNotNull"))


def _waiting() -> Drawn:
    text = "Stored events that the aggregates do not hold yet. After a flood of late events it is high for a while."
    about = About("Events that wait", text, units.Short, "MillraceAggregatesStale")
    query = over_time("max(millrace_aggregate_waiting_events)", "waiting")
    return lines(about, query, calcs=("max", "lastNotNull"))


def _checks() -> Drawn:
    text = "The newest evaluation of each exactness check: a table against a count over all events. Red: it is wrong."
    link = links.asset("The checks in Dagster", "analytics/events_hourly?view=checks")
    about = About("Exactness", text, units.NoUnit, "MillraceNotExact", [link])
    words = colours.words(good=(1, "exact"), bad=(0, "wrong"))
    return states(about, over_time("min by (check) (millrace_check_passed)", "{{check}}"), mappings=words)


def _bytes() -> Drawn:
    text = "Size of Millrace's tables with their indexes, partitions added up."
    about = About("Bytes by table", text, units.BytesIEC, "MillraceDiskGrowth")
    return stacked(about, over_time(_SIZES % _OURS, "{{table}}"))


def _dagster() -> Drawn:
    text = "Size of Dagster's own tables. Upkeep trims its history: this levels off after some hours."
    about = About("Dagster's own tables", text, units.BytesIEC, "MillraceDiskGrowth", [_UPKEEP])
    return stacked(about, over_time(_SIZES % _DAGSTER, "{{table}}"))


_UPKEEP = links.asset("upkeep/dagster_history in Dagster", "upkeep/dagster_history")


def _rows() -> Drawn:
    text = "Rows by table, dead letters among them. Of raw.events exact, else as PostgreSQL estimates."
    about = About("Rows by table", text, units.Short, "MillraceDiskGrowth")
    query = over_time("max by (table) (millrace_table_rows)", "{{table}}")
    return lines(about, query, calcs=("lastNotNull", "diff"))


def _days() -> Drawn:
    text = (
        "Until the database has used 95 % of its space at its present growth. Needs MILLRACE_POSTGRES_CAPACITY_BYTES; "
    )
    about = About("Full in", text + "empty while it does not grow.", units.Days, "MillraceDiskGrowth")
    query = over_time("millrace:database_full:days")
    return number(about, query, limits=colours.falling(1, 7), empty="not in sight")


def _database() -> Drawn:
    text = "Size of the whole database, and how large it may become (MILLRACE_POSTGRES_CAPACITY_BYTES, if set)."
    about = About("Database", text, units.BytesIEC, "MillraceDiskGrowth")
    asked = [
        over_time("max(millrace_database_bytes)", "size"),
        over_time("max(millrace_database_capacity_bytes)", "capacity", "B"),
    ]
    return lines(about, *asked, calcs=("lastNotNull",), named=("capacity",))


def _growth() -> Drawn:
    text = "The 10 tables that grow fastest, over 6 hours. Negative: something was trimmed or dropped."
    about = About("Growth by table", text, units.BytesPerSecondIEC, "MillraceDiskGrowth")
    return lines(about, over_time("topk(10, table:millrace_table_bytes:deriv6h)", "{{table}}"))


def _redis() -> Drawn:
    text = "Memory of both Redis servers, and their limit if any. claims grows with traffic times the dedup window."
    about = About("Redis memory", text, units.BytesIEC, "MillraceRedisDown")
    asked = [
        over_time("max by (server) (millrace_redis_memory_bytes)", "{{server}}"),
        over_time("max by (server) (millrace_redis_memory_limit_bytes)", "{{server}} limit", "B"),
    ]
    return lines(about, *asked, calcs=("max", "lastNotNull"))
