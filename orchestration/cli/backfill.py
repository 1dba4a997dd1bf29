"""`millrace backfill`: rebuilds the aggregates of any range of hours or days.

What belongs here: arguments, printing, exit codes. What does not: reading a range (`backfill_range`), starting runs
(`orchestration.launch`), and the work (`assets.aggregates`).
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from assets.aggregates.catalog import REBUILDABLE
from assets.periods import TimeSpan
from orchestration import settings as settings_module
from orchestration.backfill_range import RangeError, read_range, read_tables
from orchestration.settings import Settings
from resources.postgres import Postgres, describe

_FRONTIER = "select frontier from ops.retention_frontier where frontier > '-infinity'"


@click.command()
@click.option("--from", "first", metavar="TIME", help="The first day or hour: 2026-01-31 or 2026-01-31T08. UTC.")
@click.option("--to", "last", metavar="TIME", help="The last day or hour, included; without it: until now.")
@click.option("--days", type=click.IntRange(min=1), help="Instead: so many days, the last of them today.")
@click.option("--tables", metavar="A,B", help="Only these tables; without it: all.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Show the progress of the runs to their end.")
@click.option("--local", is_flag=True, help="Do the work in this process, without Dagster.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; nothing else goes to standard output.")
def backfill(
    first: str | None, last: str | None, days: int | None, tables: str | None, wait: bool, local: bool, as_json: bool
) -> None:
    """Rebuild aggregates from raw.events, for any range of hours or days.

    New and late events need no backfill: they are taken in within seconds. It is for a definition that has changed, and
    for proof: what it corrects is reported as drift, and 0 is expected. Readers see the old rows until the new ones are
    committed; running it again gives the same rows.

    Dagster executes it, a run for the hourly tables and one each for the others, on the queue `default`, where it does
    not delay ingest. Tables by day are rebuilt for every day that the range touches. Hours before the first partition
    (MILLRACE_HISTORY_START) are left out; --local does them, too, and takes in what waits of any day.

    \b
      millrace backfill --days 7
      millrace backfill --from 2026-01-01 --to 2026-01-31 --tables sessions,login_audit
      millrace backfill --from 2026-01-31T08 --to 2026-01-31T11 --tables events_hourly

    Exit code: 0 done (with --no-wait: started), 1 it failed, 2 wrong usage or settings or a service cannot be reached.
    """  # noqa: D301 - click's \b is that very character
    settings = settings_module.load()
    try:
        span = read_range(first, last, days, datetime.now(UTC))
        names = read_tables(tables, REBUILDABLE)
        _refuse_what_is_gone(settings, span)
        done = _here(settings, span, names, quiet=as_json) if local else _by_dagster(span, names, wait, as_json)
    except RangeError as error:
        raise click.UsageError(str(error)) from None
    except psycopg.OperationalError as error:
        click.echo(f"PostgreSQL cannot be reached (MILLRACE_POSTGRES_URL): {describe(error)}", err=True)
        sys.exit(2)
    except psycopg.Error as error:
        click.echo(f"the backfill failed, what it had committed stays: {describe(error)}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps({"from": span.low.isoformat(), "to": span.high.isoformat(), **done}, indent=2))
    sys.exit(0 if done["ok"] else 1)


def _refuse_what_is_gone(settings: Settings, span: TimeSpan) -> None:
    with Postgres(settings.postgres_url).connect("millrace-backfill") as connection:
        found = connection.execute(_FRONTIER).fetchone()
    if found and span.low < found[0]:
        raise RangeError(
            f"raw events before {found[0]:%Y-%m-%d %H:%M} UTC were dropped (retention): nothing before it can be "
            "rebuilt, its aggregates stay as they are"
        )


def _here(settings: Settings, span: TimeSpan, names: frozenset[str], *, quiet: bool) -> dict[str, Any]:
    from orchestration.factories import make_aggregates

    console = Console(stderr=True, quiet=quiet)
    bar = Progress(
        TextColumn("events"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
    )
    with bar:
        task = bar.add_task("events", total=None)
        aggregates = make_aggregates(settings)
        rebuilt = aggregates.rebuild(
            span.low, span.high, names, lambda done, of: bar.update(task, completed=done, total=of)
        )
        aggregates.settle()  # a release without groups, after a roll-back, cannot take what only some have taken
    if not quiet:
        _show(rebuilt.rows, rebuilt.drift)
        click.echo(f"rebuilt {span} in {rebuilt.seconds:.1f} s")
    tables = {name: {"rows": rows, "drift": rebuilt.drift.get(name, 0)} for name, rows in rebuilt.rows.items()}
    return {"ok": True, "tables": tables, "seconds": round(rebuilt.seconds, 3)}


def _show(rows: dict[str, int], drift: dict[str, int]) -> None:
    for name, count in rows.items():
        wrong = drift.get(name, 0)
        click.echo(f"{name:20} {count:>12,} rows, {wrong or 'none'} of them {'were' if wrong else 'was'} wrong before")


def _by_dagster(span: TimeSpan, names: frozenset[str], wait: bool, quiet: bool) -> dict[str, Any]:
    from orchestration.backfills import BackfillError, start, watch

    def said(line: str) -> None:
        if not quiet:
            click.echo(line)

    try:
        with start(span, names) as runs:
            for run in runs:
                said(f"run {run.run_id} of {run.job}: {', '.join(run.tables)}{_range(run.partitions)}")
            ended = watch(runs, _status(quiet)) if wait else {}
    except BackfillError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    for run in runs if wait else ():
        said(f"run {run.run_id} of {run.job}: {ended[run.run_id]}")
    return {
        "ok": _all_well(ended.values()),
        "runs": [{**run.as_dict(), "status": ended.get(run.run_id)} for run in runs],
    }


def _status(quiet: bool) -> Console:
    return Console(stderr=True, quiet=quiet)


def _all_well(ends: Iterable[str]) -> bool:
    return all(end == "SUCCESS" for end in ends)


def _range(partitions: Sequence[str]) -> str:
    return f" from {partitions[0]} to {partitions[-1]}" if partitions else ""
