"""`millrace gaps`: what was lost at the source, which partitions cannot be read, and giving a range up.

What belongs here: the commands, printing, exit codes. What does not: the work (`assets.quality.give_up`).
"""

import json
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager

import click
import psycopg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from assets.audit import actor
from assets.ingest import unreadable
from assets.ingest.retry import StorageFailed
from assets.ingest.store import AlreadyCommitted
from assets.ingest.worker import Worker
from assets.quality import give_up as giving_up
from contract.shown import on_a_line
from orchestration import settings as settings_module
from orchestration.factories import make_worker
from resources.kafka import KafkaUnavailable
from resources.postgres import describe

_GAPS = """
select topic, partition, start_offset, end_offset, reason, detected_at from ops.gaps order by gap_id desc limit %s
"""
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON; nothing else goes to standard output.")


@click.group("gaps")
def gaps() -> None:
    """Losses at the source, and partitions that Kafka does not hand out.

    \b
    Which partitions stand still, and every gap:   millrace gaps list
    Where one could go on:                         millrace gaps give-up --topic user-events --partition 0 --dry-run
    Go on there, and record what is lost:          millrace gaps give-up --topic user-events --partition 0
    """  # noqa: D301 - click's \b is that very character


@gaps.command("list")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="How many of the newest gaps.")
@_JSON
def list_gaps(limit: int, as_json: bool) -> None:
    """List the partitions that cannot be read now, and the newest gaps.

    Exit code: 0 no partition stands still, 1 some does, 2 wrong settings or PostgreSQL cannot be reached.
    """
    with _explained(), _worker() as worker:
        connection = worker.database.connection()
        stuck, found = unreadable.current(connection), connection.execute(_GAPS, (limit,)).fetchall()
    if as_json:
        click.echo(
            json.dumps(
                {"unreadable": [_stuck(each) for each in stuck], "gaps": [_gap(*row) for row in found]}, indent=2
            )
        )
    else:
        for each in stuck:
            click.echo(f"unreadable since {each.since:%Y-%m-%d %H:%M:%S}: {on_a_line(str(each.partition))}")
        for topic, partition, start, end, reason, at in found:
            where = f"{topic}/{partition}  {start} to {end if end is not None else '?'}  {reason}"
            click.echo(f"{at:%Y-%m-%d %H:%M:%S}  {on_a_line(where)}")
        if not stuck and not found:
            click.echo("no gaps, and every partition can be read")
    sys.exit(1 if stuck else 0)


@gaps.command("give-up")
@click.option("--topic", required=True, help="The topic of the partition that stands still.")
@click.option("--partition", required=True, type=click.IntRange(min=0), help="Its number.")
@click.option("--until", type=click.IntRange(min=1), help="The first offset to read again; searched if not given.")
@click.option("--dry-run", is_flag=True, help="Say what would be given up, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_JSON
def give_up(topic: str, partition: int, until: int | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Give up the offsets of a partition that cannot be read, from where it stands.

    They become a gap with the reason `unreadable`, and ingest goes on behind it. The records stay in Kafka as they
    are; once the gap is there Millrace does not read them again, also not if they are repaired. First try to repair:
    docs/runbook.md, MillracePartitionUnreadable.

    \b
    Exit code: 0 done, 1 not confirmed or nothing to give up, 2 wrong usage or settings, or a service cannot be reached.
    """  # noqa: D301 - click's \b is that very character
    with _explained(), _worker() as worker:
        at = giving_up.where(worker, topic, partition)
        end = _until(worker, at, until, quiet=as_json)
        made = giving_up.as_dict(at, end)
        text = f"{topic}/{partition}: offsets {at.committed} to {end - 1}, {end - at.committed} in all"
        if dry_run:
            click.echo(json.dumps({**made, "done": False}, indent=2) if as_json else f"would give up {text}")
            return
        if not yes:
            _confirm(text)
        run = giving_up.give_up(worker, at, end, actor())
    click.echo(json.dumps({**made, "done": True, "run": run}, indent=2) if as_json else f"gave up {text}")


def _until(worker: Worker, at: giving_up.StuckPartition, given: int | None, *, quiet: bool) -> int:
    if given is None:
        return _search(worker, at, quiet=quiet)
    giving_up.check_until(at, given)
    giving_up.refuse_readable(worker, at)
    return given


def _search(worker: Worker, at: giving_up.StuckPartition, *, quiet: bool) -> int:
    console = Console(stderr=True, quiet=quiet)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task(f"reading at offset {at.committed}")
        return giving_up.readable_from(worker, at, lambda o: bar.update(task, description=f"reading at offset {o}"))


def _confirm(text: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("giving up cannot be undone: this is no terminal to ask at: add --yes")
    if not click.confirm(f"Give up {text}? It cannot be undone.", err=True):
        sys.exit(1)


@contextmanager
def _worker() -> Generator[Worker]:
    with closing(make_worker(settings_module.load())) as worker:
        yield worker


@contextmanager
def _explained() -> Generator[None]:
    try:
        yield
    except (giving_up.CannotGiveUp, AlreadyCommitted) as error:
        click.echo(str(error) or "ingest has moved the partition since: look again", err=True)
        sys.exit(1)
    except KafkaUnavailable as error:
        click.echo(f"Kafka cannot be asked (MILLRACE_KAFKA_BOOTSTRAP_SERVERS): {error}", err=True)
        sys.exit(2)
    except psycopg.Error as error:
        click.echo(f"PostgreSQL failed (MILLRACE_POSTGRES_URL): {describe(error)}", err=True)
        sys.exit(2)
    except StorageFailed as error:
        click.echo(f"PostgreSQL failed (MILLRACE_POSTGRES_URL): {error}", err=True)
        sys.exit(2)


def _stuck(found: unreadable.UnreadableSince) -> dict[str, object]:
    p = found.partition
    return {
        "topic": p.topic,
        "partition": p.topic_partition.partition,
        "at_offset": p.offset,
        "error": p.error,
        "since": found.since.isoformat(),
    }


def _gap(topic: str, partition: int, start: int, end: int | None, reason: str, at: object) -> dict[str, object]:
    return {
        "topic": topic,
        "partition": partition,
        "start": start,
        "end": end,
        "reason": reason,
        "detected_at": str(at),
    }
