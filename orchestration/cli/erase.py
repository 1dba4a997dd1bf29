"""`millrace erase`: erase users, for good.

What belongs here: reading ids, asking, printing, the exit code. What does not: the erasing (`assets.erasure`). An id is
never printed, logged or put into an error: it may be personal data itself.
"""

import json
import sys
import uuid
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import click
import psycopg
from rich.console import Console

from assets.audit import actor
from assets.erasure.erase import Erased, EraseFailed, Eraser, UserFootprint
from assets.ingest.corrections import RulesLocked
from orchestration import settings as settings_module
from orchestration.cli import ids
from orchestration.cli.ids import Listed
from orchestration.factories import make_aggregates, make_kafka
from orchestration.settings import Settings
from resources.kafka import KafkaUnavailable
from resources.postgres import Postgres, describe

_HONEST = """\
What Millrace does not reach:
  Kafka still holds the records, until its own retention ends them (topic setting retention.ms); in a compacted topic
  until a tombstone for their key. To shorten that: kafka-configs --alter --entity-type topics --entity-name TOPIC
  --add-config retention.ms=..., or kafka-delete-records. Millrace does not store them again, also not in a replay.
  Backups and logs of the database, replicas that lag, and copies that analysts made.
  Dead letters that write the id in unusual escapes, in another encoding, or in pieces: nobody can find those by it.
  Redis keeps, for the dedup window, ids of events and hashes of their bytes. They say nothing about a user."""
_OFFLINE = """\
Kafka was not asked (--offline): records of the user that Kafka holds and that are not ingested yet will be stored.
Erase again when Kafka is back."""


@click.command()
@click.option("--user", "user", required=True, metavar="ID", help="The user's id; - reads a list from standard input.")
@click.option("--dry-run", is_flag=True, help="Count what is stored of them, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--offline", is_flag=True, help="Do not ask Kafka; what is not ingested yet will be stored.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; nothing else goes to standard output.")
def erase(user: str, dry_run: bool, yes: bool, offline: bool, as_json: bool) -> None:
    """Erase users: their events, sessions, profile, every row made of them, and dead letters that name them.

    What was sent up to now stays erased, also in a replay, and also what Kafka holds unread. What a user sends later is
    stored again. Aggregates are repaired; the audit knows a keyed hash, not the id. It may be interrupted and run
    again. With --user - ids stay out of the list of processes and of the history of your shell.

    The list is UTF-8, an id a line. Lines end at a line feed only (or all at carriage return and line feed); nothing
    else is taken off. With --json a line that begins with a quotation mark is a JSON string, for ids that hold line
    ends. Ids of which nothing was stored are reported by line.

    \b
    Exit code: 0 done, 1 not confirmed, or some user could not be erased, 2 wrong usage or settings, or a service cannot
    be reached.
    """  # noqa: D301 - click's \b is that very character
    users = _read(user, as_json=as_json)
    settings = settings_module.load()
    with _explained(settings), _eraser(settings) as eraser:
        found = [eraser.look(each.user) for each in users] if dry_run or not yes else []
        if dry_run:
            _show_found(found, as_json=as_json)
            _show_unmatched(_unmatched(zip(users, found, strict=True)), err=as_json)
            return
        if not yes:
            _confirm(user, found)
        done = _erase(eraser, users, offline=offline, quiet=as_json)
    _show(done, failed=len(users) - len(done), offline=offline, as_json=as_json)
    sys.exit(0 if len(done) == len(users) else 1)


def _read(user: str, *, as_json: bool) -> list[Listed]:
    listed = user == "-"
    data = sys.stdin.buffer.read() if listed else b""
    users = ids.read(data, json_strings=as_json) if listed else ids.given(user)
    if not users:
        raise click.UsageError("there is no id to erase")
    return users


@contextmanager
def _explained(settings: Settings) -> Generator[None]:
    try:
        yield
    except KafkaUnavailable:
        click.echo(
            f"Kafka cannot be reached at {settings.kafka_bootstrap_servers}, so how far to erase cannot be told. "
            "Nothing was done. With --offline all that is ingested is erased; what Kafka holds unread will be stored.",
            err=True,
        )
        sys.exit(2)
    except psycopg.Error as error:
        click.echo(f"PostgreSQL failed (MILLRACE_POSTGRES_URL): {describe(error)}", err=True)
        sys.exit(2)


@contextmanager
def _eraser(settings: Settings) -> Generator[Eraser]:
    aggregates = make_aggregates(settings)
    try:
        yield Eraser(
            Postgres(settings.postgres_url),
            make_kafka(settings),
            settings.kafka_topics,
            aggregates,
            actor(),
            f"erase-{uuid.uuid4().hex[:12]}",
        )
    finally:
        aggregates.close()


def _confirm(user: str, found: Sequence[UserFootprint]) -> None:
    if user == "-" or not sys.stdin.isatty():
        raise click.UsageError("erasing cannot be undone: this is no terminal to ask at: add --yes")
    _show_found(found, as_json=False)
    if not click.confirm("Erase that? It cannot be undone.", err=True):
        sys.exit(1)


def _erase(eraser: Eraser, users: Sequence[Listed], *, offline: bool, quiet: bool) -> list[tuple[Listed, Erased]]:
    """All are kept out at once, then removed some at a time; those that fail do not keep the others."""
    erased: list[tuple[Listed, Erased]] = []
    lines = {each.user: each for each in users}
    with Console(stderr=True, quiet=quiet).status("") as status:
        try:
            hashes = eraser.ask(list(lines), offline=offline, progress=status.update)
            for group in eraser.remove(dict(zip(lines, hashes, strict=True)), progress=status.update):
                erased += [(lines[user], gone) for user, gone in group if gone is not None]
                _show_failed([lines[user].line for user, gone in group if gone is None])
                status.update(f"{len(erased)} of {len(users)} erased")
        except RulesLocked as error:
            click.echo(f"{len(users) - len(erased)} users were not erased: {error}", err=True)
    return erased


def _show_failed(lines: Sequence[int]) -> None:
    for line in lines:
        click.echo(f"the user of line {line} was not erased: {EraseFailed.__doc__}", err=True)


def _show_found(found: Sequence[UserFootprint], *, as_json: bool) -> None:
    sums: dict[str, Any] = {name: sum(getattr(f, name) for f in found) for name in UserFootprint._fields}
    if as_json:
        click.echo(json.dumps({"users": len(found), **sums}, indent=2))
    else:
        click.echo(f"{len(found)} users: " + _figures(sums) + " are stored of them")


def _unmatched(users: Iterable[tuple[Listed, UserFootprint | Erased]]) -> list[int]:
    """The lines of the ids of which nothing was stored."""
    return [each.line for each, had in users if not (had.events or had.sessions or had.letters)]


def _show_unmatched(lines: Sequence[int], *, err: bool = False) -> None:
    if lines:
        where = ", ".join(map(str, lines))
        click.echo(f"nothing was stored of {len(lines)} of the ids: is it written right? lines: {where}", err=err)


def _show(done: Sequence[tuple[Listed, Erased]], *, failed: int, offline: bool, as_json: bool) -> None:
    erased = [each for _, each in done]
    if not as_json:
        _show_erased(erased, offline=offline)
        _show_unmatched(_unmatched(done))
        return
    shown = [{"user_hash": e.user, **{k: v for k, v in e._asdict().items() if k != "user"}} for e in erased]
    figures = {"offline": offline, "failed": failed, "matched_nothing": _unmatched(done)}
    click.echo(json.dumps({"erased": shown, **figures}, indent=2))


def _show_erased(erased: Sequence[Erased], *, offline: bool) -> None:
    for each in erased:
        click.echo(f"erased {each.user}: " + _figures(each._asdict()) + f"; {each.seconds:.1f} s")
    if erased:
        click.echo(_HONEST + ("\n" + _OFFLINE if offline else ""))


def _figures(counts: dict[str, Any]) -> str:
    return f"{counts['events']:,} events, {counts['sessions']:,} sessions, {counts['letters']:,} dead letters"
