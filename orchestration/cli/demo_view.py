"""What the demo shows: figures from the ledger, once a second, and SQL to try.

What belongs here: the questions and the table. What does not: what is started and ended (`demo`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.console import Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from assets.ingest import ledger_queries
from assets.ingest.plan import TopicIdPartition
from orchestration.cli.stack_options import called
from resources.kafka import Kafka, current_logs
from resources.postgres import Connection

SQL_TO_TRY = """\
-- the last minutes at a glance, and the pages of the hour
select * from analytics.live;
select page, views, users from analytics.pages_hourly order by hour desc, views desc limit 10;
-- the newest page views in typed columns, and logins that are unusual
select occurred_at, user_id, page, referrer from analytics.page_views order by occurred_at desc limit 5;
select occurred_at, action, ip, device, flags from analytics.login_audit where flags <> '{}' order by 1 desc limit 5;
-- what was refused, and why
select code, count(*), min(reason) from raw.dead_letters group by code order by 2 desc;
-- the ledger: every transaction, and that it adds up
select committed_at, records, stored, duplicates_redis + duplicates_postgres as duplicates,
       dead_letters, tombstones, erased, expired, latency_p95_seconds
from ops.batches order by batch_id desc limit 5;"""

_TOTALS = """
select coalesce(sum(records), 0)::bigint, coalesce(sum(stored), 0)::bigint,
    coalesce(sum(duplicates_redis + duplicates_postgres), 0)::bigint, coalesce(sum(dead_letters), 0)::bigint,
    coalesce(sum(tombstones), 0)::bigint, coalesce(sum(erased), 0)::bigint, coalesce(sum(expired), 0)::bigint
from ops.batches
"""
_LATELY = """
select coalesce(sum(records), 0)::float / 10, coalesce(sum(stored), 0)::float / 10,
    percentile_cont(0.5) within group (order by latency_p50_seconds),
    percentile_cont(0.95) within group (order by latency_p95_seconds), coalesce(bool_or(dedup_degraded), false)
from ops.batches where committed_at > clock_timestamp() - interval '10 seconds' and records > 0
"""
_BEHIND = """
select coalesce(extract(epoch from clock_timestamp() - min(marked_at)), 0)::float from ops.dirty_buckets
"""


class LedgerTotals(NamedTuple):
    """The sums of the ledger."""

    records: int
    stored: int
    duplicates: int
    dead_letters: int
    tombstones: int
    erased: int
    expired: int

    def since(self, earlier: "LedgerTotals") -> "LedgerTotals":
        """What came after an earlier look."""
        return LedgerTotals(*(now - then for now, then in zip(self, earlier, strict=True)))


class DemoSnapshot(NamedTuple):
    """One look at the pipeline: sums since the demo began, the last ten seconds, and what still waits.

    `lag` are records in Kafka, `behind` the seconds since the oldest event that the aggregates lack was stored.
    """

    totals: LedgerTotals
    records_per_second: float
    stored_per_second: float
    latency_p50: float | None
    latency_p95: float | None
    degraded: bool
    lag: int
    behind: float


def totals(connection: Connection) -> LedgerTotals:
    """The sums of the whole ledger."""
    row: Any = connection.execute(_TOTALS).fetchone()
    return LedgerTotals(*row)


def take_snapshot(connection: Connection, kafka: Kafka, topics: tuple[str, ...], before: LedgerTotals) -> DemoSnapshot:
    """Ask the ledger and Kafka."""
    row: Any = connection.execute(_LATELY).fetchone()
    done = ledger_queries.committed_offsets(connection)
    held = current_logs(kafka.available(topics), done)
    lag = sum(max(0, a.high - done.get(TopicIdPartition(a.topic_id, a.partition), a.low)) for a in held)
    records, stored, p50, p95, degraded = row
    behind: Any = connection.execute(_BEHIND).fetchone()
    return DemoSnapshot(totals(connection).since(before), records, stored, p50, p95, degraded, lag, behind[0])


def settled(connection: Connection) -> bool:
    """Whether the aggregates hold every event that is stored."""
    found: Any = connection.execute("select not exists (select 1 from ops.dirty_buckets)").fetchone()
    return found[0]


def panel(found: DemoSnapshot, left: str, pages: Mapping[str, str]) -> Group:
    """The live table, and the pages to look at, by what they show."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    t = found.totals
    table.add_row("records", f"{t.records:,}", "records/s", f"{found.records_per_second:,.0f}")
    table.add_row("stored", f"{t.stored:,}", "stored/s", f"{found.stored_per_second:,.0f}")
    table.add_row("duplicates", f"{t.duplicates:,}", "waiting in Kafka", f"{found.lag:,}")
    table.add_row("dead letters", f"{t.dead_letters:,}", "latency p50", _seconds(found.latency_p50))
    table.add_row("tombstones", f"{t.tombstones:,}", "latency p95", _seconds(found.latency_p95))
    table.add_row("", "", "aggregates behind", f"{found.behind:.0f} s")
    if t.erased or t.expired:
        table.add_row("erased", f"{t.erased:,}", "expired", f"{t.expired:,}")
    if found.degraded:
        table.add_row("[yellow]dedup degraded[/]", "", "Redis does not answer; PostgreSQL de-duplicates", "")
    return Group(
        Panel(table, title=f"Millrace demo, {left}", title_align="left", expand=False),
        *(f"{what}: [link={page}]{page}[/link]" for what, page in pages.items()),
    )


def sql_to_try() -> Group:
    """Queries to paste into psql."""
    return Group(
        f"[dim]SQL to try, in another terminal: {called()} psql[/]",
        Syntax(SQL_TO_TRY, "sql", theme="ansi_dark", background_color="default"),
    )


def line(found: DemoSnapshot, left: str) -> str:
    """The same in one line, for where nobody draws tables."""
    t = found.totals
    return (
        f"{left}: {t.records:,} records, {t.stored:,} stored, {t.duplicates:,} duplicates, "
        f"{t.dead_letters:,} dead letters, {t.tombstones:,} tombstones; {found.records_per_second:,.0f}/s, "
        f"lag {found.lag:,}, p50 {_seconds(found.latency_p50)}, p95 {_seconds(found.latency_p95)}, "
        f"aggregates behind {found.behind:.0f} s"
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
