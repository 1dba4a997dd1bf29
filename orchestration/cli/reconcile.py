"""`millrace reconcile`: prove that nothing is missing and nothing is doubled.

What belongs here: waiting, progress, printing, the exit code. What does not: the comparison (`assets.quality`).
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click
import psycopg
from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from assets.ingest import ledger_queries, unconfigured_topics
from assets.ingest.plan import TopicIdPartition
from assets.ingest.worker import Worker
from assets.quality.reconcile import PartitionResult
from assets.quality.reconcile import reconcile as compare
from contract.shown import on_a_line
from orchestration import settings as settings_module
from orchestration.factories import make_worker
from orchestration.setting_values import parse_duration
from orchestration.settings import Settings
from resources.kafka import KafkaUnavailable, current_logs
from resources.postgres import describe, is_refusal

_SHOWN = 20
_COUNTED = ("records", "stored", "duplicates", "dead_letters", "tombstones", "erased", "expired")
_WIDEST = 10_000
_RARE = ("erased", "expired", "lost at source", "pending")


def seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """A click callback: a duration such as 30s or 2m in seconds."""
    if value is None:
        return None
    try:
        found = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return found.total_seconds() if isinstance(found, timedelta) else None


@click.command()
@click.option(
    "--wait",
    "wait",
    callback=seconds,
    default="0s",
    metavar="DURATION",
    help="First wait until everything that Kafka holds now is ingested, at most so long (30s, 2m); also for a service "
    "that is just starting.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; nothing else goes to standard output.")
def reconcile(wait: float, as_json: bool) -> None:
    """Prove that every Kafka record ended in exactly one place, partition by partition.

    Reads all records that Kafka still holds, the tables and the ledger, and prints the coordinates of what is missing
    or doubled. Ingest may go on meanwhile: offsets that are not committed yet are `pending`, which is no fault.

    \b
    Exit code: 0 everything balances, 1 something is missing, doubled or counted wrongly, or a topic with unread records
    is not in the settings any more (or --wait ran out), 2 wrong settings or a service cannot be reached.
    """  # noqa: D301 - click's \b is that very character
    settings = settings_module.load()
    try:
        caught_up = wait_until_ingested(settings, wait)
        verdicts = run(settings, quiet=as_json)
        forgotten = _left_out(settings)
    except KafkaUnavailable as error:
        click.echo(f"Kafka cannot be reached at {settings.kafka_bootstrap_servers}: {error}", err=True)
        sys.exit(2)
    except psycopg.OperationalError as error:
        click.echo(f"PostgreSQL cannot be reached (MILLRACE_POSTGRES_URL): {describe(error)}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(json.dumps(as_dict(verdicts), indent=2))
    else:
        show(verdicts, Console())
    if not caught_up:
        click.echo(f"not everything was ingested within {wait:.0f} s", err=True)
    if forgotten:
        click.echo(unconfigured_topics.describe(forgotten), err=True)
    sys.exit(0 if caught_up and not forgotten and all(v.balanced for v in verdicts) else 1)


def _left_out(settings: Settings) -> dict[str, int]:
    worker = make_worker(settings)
    with worker.postgres.connect("millrace-reconcile") as connection:
        return unconfigured_topics.unread_records(worker.kafka, connection, settings.kafka_topics)


def wait_until_ingested(
    settings: Settings,
    at_most_seconds: float,
    on_progress: Callable[[int], None] = lambda _: None,
) -> bool:
    """Wait until what Kafka holds now is committed, also for a service that is on its way; False if it took longer.

    Raises:
        KafkaUnavailable: for all of that time.
        psycopg.OperationalError: the same, or PostgreSQL refuses us.
    """
    if at_most_seconds <= 0:
        return True
    worker, deadline = make_worker(settings), time.monotonic() + at_most_seconds
    while True:
        try:
            return _wait(settings, worker, deadline, on_progress)
        except (KafkaUnavailable, psycopg.OperationalError) as error:
            hopeless = isinstance(error, psycopg.Error) and is_refusal(error)
            if hopeless or time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _wait(settings: Settings, worker: Worker, deadline: float, on_progress: Callable[[int], None]) -> bool:
    wanted = worker.kafka.available(settings.kafka_topics)
    with worker.postgres.connect("millrace-reconcile") as connection:
        while True:
            done = ledger_queries.committed_offsets(connection)
            held = current_logs(wanted, done)
            left = sum(max(0, a.high - done.get(TopicIdPartition(a.topic_id, a.partition), a.low)) for a in held)
            on_progress(left)
            if not left:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)


def run(settings: Settings, *, quiet: bool) -> list[PartitionResult]:
    """Compare, with a progress bar on standard error where a person looks at it."""
    worker = make_worker(settings)
    console = Console(stderr=True, quiet=quiet)
    bar = Progress(
        TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), console=console, transient=True
    )
    tasks: dict[str, TaskID] = {}
    with bar:

        def on_progress(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done, total=of)

        return compare(worker.kafka, worker.postgres, worker.decoder, settings.kafka_topics, on_progress)


def show(verdicts: list[PartitionResult], console: Console) -> None:
    """A table, and below it what is wrong. What is rare has a column only where there is some."""
    rows = [{**_counts(v.counts), "lost at source": v.lost, "pending": v.pending} for v in verdicts]
    names = [name for name in (*_COUNTED, *_RARE[-2:]) if name not in _RARE or any(row[name] for row in rows)]
    title = "records = stored + duplicates + dead letters + tombstones + erased + expired"
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("partition", no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("verdict")
    for v, row in zip(verdicts, rows, strict=True):
        verdict = "[green]balanced[/]" if v.balanced else "[red]OUT OF BALANCE[/]"
        table.add_row(Text(on_a_line(f"{v.topic}/{v.partition}")), *(f"{row[name]:,}" for name in names), verdict)
    # Wider than a terminal rather than cut: a name that is cut names nothing.
    needed = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
    console.width = max(console.width, needed)
    console.print(table)
    for v in verdicts:
        for what, offsets in (("missing", v.missing), ("doubled", v.doubled)):
            if offsets:
                listed = ", ".join(map(str, offsets[:_SHOWN])) + (" ..." if len(offsets) > _SHOWN else "")
                _wrong(console, what, v, f"offsets {listed}")
        for problem in v.problems:
            _wrong(console, "wrong", v, problem)


def _wrong(console: Console, what: str, v: PartitionResult, text: str) -> None:
    console.print(f"[red]{what}[/] in", Text(on_a_line(f"{v.topic}/{v.partition}: {text}")))


def as_dict(verdicts: list[PartitionResult]) -> dict[str, Any]:
    """For scripts: sums, and every partition."""
    partitions: list[dict[str, Any]] = [
        {
            **{k: x for k, x in v._asdict().items() if k not in ("counts", "ledger")},
            **_counts(v.counts),
            "ledger": _counts(v.ledger),
            "pending": v.pending,
            "balanced": v.balanced,
        }
        for v in verdicts
    ]
    names = (*_COUNTED, "lost", "pending")
    totals = {name: sum(int(p[name]) for p in partitions) for name in names}
    return {"balanced": all(v.balanced for v in verdicts), **totals, "partitions": partitions}


def _counts(counts: Any) -> dict[str, int]:
    return {name: getattr(counts, name) for name in _COUNTED}
