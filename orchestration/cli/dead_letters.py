"""`millrace dead-letters`: look at records that were refused, try them again, or discard them.

What belongs here: the commands, their exit codes. What does not: their common options (`dead_letter_options`), printing
(`dead_letter_view`), the work itself (`assets.dead_letters`).
"""

import json
import logging
import sys
from typing import Any

import click

from assets.dead_letters import listing
from assets.dead_letters import selection as choices
from assets.dead_letters.discard import discard as discard_chosen
from assets.dead_letters.redrive import Redrive
from assets.dead_letters.selection import STATUSES, Selection
from contract.contract import Contract
from orchestration import settings as settings_module
from orchestration.cli import dead_letter_options as options
from orchestration.cli import dead_letter_view as view
from orchestration.factories import make_worker
from resources.postgres import Connection, Postgres

_APPLICATION = "millrace-dead-letters"
_MOST = 20
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON; nothing else goes to standard output.")
_LOG = logging.getLogger(f"millrace.{__name__}")


@click.group("dead-letters")
def dead_letters() -> None:
    """Records that were refused: list them, show one, try them again, or discard them.

    \b
    What is there, and why it was refused:      millrace dead-letters list
    Everything of one:                          millrace dead-letters show 17
    What became of an event that is missing:    millrace dead-letters show --event-id a1b2c3
    What a fix of the contract would rescue:    millrace dead-letters redrive --code unknown_type --dry-run
    Rescue it:                                  millrace dead-letters redrive --code unknown_type

    What the codes mean: docs/events.md.
    """  # noqa: D301 - click's \b is that very character


@dead_letters.command("list")
@click.option(
    "--status", type=click.Choice([*STATUSES, "all"]), default="open", show_default=True, help="Letters in this status."
)
@options.filters
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="How many of the newest.")
@_JSON
def list_dead_letters(status: str, limit: int, as_json: bool, **conditions: Any) -> None:
    """Count the dead letters by code and field, and list the newest with their reasons.

    A reason may quote a short part of a value, and so personal data. The rest of the records is not shown; see `show`.
    An event's id is looked for in the values of all dead letters, so that takes time where there are very many.
    """
    choice = options.matching(STATUSES if status == "all" else (status,), **conditions)
    with options.explained(), _connect() as connection:
        groups = listing.groups(connection, choice, Contract())
        rows = listing.newest(connection, choice, limit)
    if as_json:
        click.echo(json.dumps(view.listed(groups, rows), indent=2))
    else:
        view.show_list(groups, rows, status, view.console())


@dead_letters.command()
@click.argument("ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID]...")
@click.option("--event-id", metavar="EVENTID", help=f"Those whose value holds this eventId; the newest {_MOST}.")
@click.option("--full", is_flag=True, help="Do not cut long values.")
@_JSON
def show(ids: tuple[int, ...], event_id: str | None, full: bool, as_json: bool) -> None:
    """Show everything of a dead letter: coordinates, code, reason, attempts, headers, key and value.

    ID is the number that `list` shows; with --event-id the dead letters of an event are shown, whatever their status.

    This prints personal data. Text is shown on one line: line breaks, control characters and whatever else does not
    print are written out. What is no text is shown in hex; --json has the text itself.
    """
    if bool(ids) == (event_id is not None):
        raise click.UsageError("Name dead letters by their numbers, or an event by --event-id.")
    with options.explained(), _connect() as connection:
        if event_id is not None:
            ids = _of_event(connection, event_id)
        choices.statuses(connection, ids)
        found = listing.details(connection, ids)
    if as_json:
        click.echo(json.dumps([view.whole(dead_letter, attempts) for dead_letter, attempts in found], indent=2))
    else:
        click.echo("\n\n".join(view.described(dead_letter, attempts, full=full) for dead_letter, attempts in found))


@dead_letters.command()
@options.choosing
@click.option("--dry-run", is_flag=True, help="Show what would become of the dead letters, and change nothing.")
@_JSON
def redrive(ids: tuple[int, ...], everything: bool, yes: bool, dry_run: bool, as_json: bool, **conditions: Any) -> None:
    """Try dead letters again with the code and the settings of today, from the bytes that were kept.

    What is valid now is stored, or found to be a duplicate, and the dead letter is resolved; what is refused again
    stays open. Kafka is not needed. Discarded dead letters are tried only if they are named. It may be interrupted and
    run again at any time, also beside another redrive. A dry run looks at 2,000 dead letters at a time: of two of the
    same event that are further apart it says that both would be stored.

    \b
    Exit code: 0 every chosen dead letter was resolved, 1 some were refused again, 2 wrong usage or settings, or
    PostgreSQL cannot be reached.
    """  # noqa: D301 - click's \b is that very character
    choice = options.choice_of(ids, everything, by_number=("open", "discarded"), **conditions)
    worker = make_worker(settings_module.load())
    with options.explained():
        with worker.postgres.connect(_APPLICATION) as connection:
            number = _count(connection, choice)
        if not dry_run:
            options.confirmed(number, "redrive", yes=yes)
        with options.progress_bar("trying" if dry_run else "redriving", quiet=as_json) as progress:
            done = Redrive(worker, choice, _LOG, dry_run=dry_run)(progress)
    worker.close()
    if as_json:
        click.echo(json.dumps(view.redriven(done, dry_run=dry_run), indent=2))
    else:
        view.show_redriven(done, view.console(), dry_run=dry_run)
    sys.exit(1 if done.total("refused") else 0)


@dead_letters.command()
@options.choosing
@click.option(
    "--reason", required=True, help="Why they are discarded; kept with each dead letter and in ops.audit_log."
)
@_JSON
def discard(ids: tuple[int, ...], everything: bool, yes: bool, reason: str, as_json: bool, **conditions: Any) -> None:
    """Put dead letters aside for good: they are counted, but neither `redrive --all` nor a replay takes them again.

    A discarded dead letter can be redriven by its number.
    """
    choice = options.choice_of(ids, everything, by_number=("open",), **conditions)
    postgres = Postgres(settings_module.load().postgres_url)
    with options.explained():
        with postgres.connect(_APPLICATION) as connection:
            number = _count(connection, choice)
        options.confirmed(number, "discard", yes=yes)
        with options.progress_bar("discarding", quiet=as_json) as progress:
            by_code = discard_chosen(postgres, choice, reason, progress)
    total = sum(by_code.values())
    if as_json:
        click.echo(json.dumps({"discarded": total, "by_code": by_code}, indent=2))
    else:
        click.echo(f"discarded {view.number_of(total)}")


def _of_event(connection: Connection, event_id: str) -> tuple[int, ...]:
    found = choices.of_event(connection, event_id, _MOST)
    if not found:
        click.echo("no dead letter holds that eventId: it may be stored, or may never have arrived", err=True)
        sys.exit(1)
    return tuple(found)


def _connect() -> Connection:
    return Postgres(settings_module.load().postgres_url).connect(_APPLICATION)


def _count(connection: Connection, choice: Selection) -> int:
    """How many dead letters are chosen; says of named ones that are not to be touched why not."""
    if choice.ids is not None:
        for dead_letter, status in sorted(choices.statuses(connection, choice.ids).items()):
            if status not in choice.statuses:
                said = "was discarded, and what it held was deleted" if status == "emptied" else f"is {status} already"
                click.echo(f"dead letter {dead_letter} {said}", err=True)
    return choices.count(connection, choice)[0]
