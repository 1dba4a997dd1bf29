"""What the commands about dead letters have in common: the options that choose dead letters, the question, the errors.

What belongs here: reading arguments and refusing them. What does not: the commands (`dead_letters`).
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from assets.dead_letters.selection import Selection, UnknownDeadLetters
from assets.ingest.retry import StorageFailed
from contract.codes import RejectionCode
from orchestration.setting_values import parse_duration
from resources.postgres import describe

_CODES = click.Choice([code.value for code in RejectionCode])


def _moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return _ago(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _ago(value: str) -> datetime | None:
    try:
        ago = parse_duration(value)
        return datetime.now(UTC) - ago if isinstance(ago, timedelta) else None
    except (ValueError, OverflowError):
        raise click.BadParameter("expected a time such as 2026-05-18T14:00 (UTC), or 2h for that long ago") from None


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


filters = _options(
    click.option(
        "--code", "codes", type=_CODES, metavar="CODE", multiple=True, help="With this code; may be repeated."
    ),
    click.option("--topic", help="Of this topic, also one that Kafka no longer has."),
    click.option("--key", help="Whose record has this key; Millrace's producer writes the userId there."),
    click.option("--event-id", metavar="EVENTID", help="Whose value holds this eventId."),
    click.option("--since", callback=_moment, metavar="TIME", help="Refused first at or after TIME (UTC), or 2h ago."),
    click.option("--until", callback=_moment, metavar="TIME", help="Refused first before TIME (UTC), or 2h ago."),
)

choosing = _options(
    click.argument("ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID]..."),
    filters,
    click.option("--all", "everything", is_flag=True, help="All open dead letters."),
    click.option("--yes", is_flag=True, help="Do not ask."),
)


def choice_of(ids: tuple[int, ...], everything: bool, *, by_number: tuple[str, ...], **conditions: Any) -> Selection:
    """The dead letters that the arguments mean.

    Args:
        ids: named dead letters.
        everything: --all.
        by_number: the statuses that named dead letters may have; others are chosen from the open ones.
        **conditions: codes, topic, since, until.

    Raises:
        click.UsageError: nothing was chosen, or in two ways at once.
    """
    given = any(value is not None and value != () for value in conditions.values())
    if (bool(ids), given, everything).count(True) != 1:
        how = "--code, --topic, --key, --event-id, --since, --until, or take --all"
        raise click.UsageError(f"Name dead letters, or choose them by {how}.")
    if ids:
        return Selection(ids=tuple(dict.fromkeys(ids)), statuses=by_number)
    return matching(("open",), **conditions)


def matching(statuses: tuple[str, ...], **conditions: Any) -> Selection:
    """All dead letters that fit."""
    return Selection(statuses=statuses, **{**conditions, "codes": conditions["codes"] or None})


def confirmed(number: int, what: str, *, yes: bool) -> None:
    """Ask before more than one dead letter is touched; ends the command if that cannot be asked or is denied."""
    if number <= 1 or yes:
        return
    if not sys.stdin.isatty():
        click.echo(f"this would {what} {number:,} dead letters; this is no terminal to ask at: add --yes", err=True)
        sys.exit(2)
    if not click.confirm(f"{what} {number:,} dead letters?", err=True):
        click.echo("nothing was changed", err=True)
        sys.exit(1)


@contextmanager
def explained() -> Generator[None]:
    """Say in one line what cannot be done, and end with exit code 2."""
    try:
        yield
    except UnknownDeadLetters as error:
        said = f"there is no dead letter {error}"
    except StorageFailed as error:
        said = f"PostgreSQL failed: {error}; what was done before is done, run it again for the rest"
    except psycopg.Error as error:
        where = "cannot be reached (MILLRACE_POSTGRES_URL)" if error.sqlstate is None else "failed"
        said = f"PostgreSQL {where}: {describe(error)}"
    else:
        return
    click.echo(said, err=True)
    sys.exit(2)


@contextmanager
def progress_bar(what: str, *, quiet: bool) -> Generator[Callable[[int, int], None]]:
    """A progress bar on standard error, where a person looks at it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, quiet=quiet), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
