"""`millrace validate`: what the pipeline would decide about events, without sending them.

What belongs here: options, printing, exit codes. What does not: which events a file holds (`producer.event_file`) and
the rules (`contract`).
"""

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import click

from contract.contract import Contract
from contract.decoder import Decoder, Rejection
from contract.shown import on_a_line
from orchestration.settings import Settings, load_some
from producer.event_file import Decided, decided, values

_TYPES = tuple(Contract())
LIMITS = ("max_value_bytes", "max_future", "min_timestamp")
FILE = click.argument("file", type=click.File("rb"), metavar="FILE|-")


@click.command(short_help="Decide about events without sending them.")
@FILE
@click.option(
    "--type",
    "types",
    type=click.Choice(_TYPES),
    metavar="TYPE",
    multiple=True,
    help="Every event is to be of this type; others count as unknown_type. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; nothing else goes to standard output.")
def validate(file: BinaryIO, types: tuple[str, ...], as_json: bool) -> None:
    """Decide about events as the pipeline would, with the same codes and reasons, without sending them.

    FILE, or standard input (-), has an event on each line, or is one JSON document: an event, or an array of events.
    No service and no setting is needed. MILLRACE_MAX_VALUE_BYTES, MILLRACE_MAX_FUTURE and MILLRACE_MIN_TIMESTAMP are
    used where they are set. Each event is decided by itself: whether its id was used before is not known here.

    \b
    In a test of a producer:       millrace validate sent.jsonl
    Of one event:                  echo '{"eventId": ...}' | millrace validate -
    Nothing but page views:        millrace validate --type page_view --json sent.jsonl

    \b
    Exit code: 0 every event is valid, 1 some are not, 2 wrong usage or settings, or no event at all.

    What the codes mean: docs/events.md.
    """  # noqa: D301 - click's \b is that very character
    checked = examine(file, types)
    if as_json:
        click.echo(json.dumps(summary(checked), indent=2))
    else:
        for line in complaints(file, checked):
            click.echo(line)
        click.echo(counted(checked))
    sys.exit(1 if refused(checked) else 0)


def examine(file: BinaryIO, types: Sequence[str] = (), settings: Settings | None = None) -> list[Decided]:
    """Every event of a file and what is decided about it; ends the command where there is none."""
    found = values(file.read())
    if not found:
        click.echo(f"{name_of(file)} holds no event", err=True)
        sys.exit(2)
    limits = settings or load_some(LIMITS)
    contract = Contract()
    known = Contract(contract[name].struct for name in types) if types else contract
    decoder = Decoder(known, limits.max_value_bytes, limits.max_future, limits.min_timestamp)
    return list(decided(found, decoder, time.time_ns() // 1_000))


def refused(checked: Sequence[Decided]) -> list[tuple[Decided, Rejection]]:
    """Those that the pipeline would refuse, and why."""
    return [(each, each.found) for each in checked if isinstance(each.found, Rejection)]


def complaints(file: BinaryIO, checked: Sequence[Decided]) -> Iterator[str]:
    """A line for each that would be refused, which editors and CI systems can lead to its place."""
    name = name_of(file)
    for each, why in refused(checked):
        said = f"event {each.value.number}: {why.code} {on_a_line(why.reason)}"
        yield f"{name}:{each.value.line}: {said}"


def counted(checked: Sequence[Decided]) -> str:
    """How many would be accepted, and how many not."""
    bad = len(refused(checked))
    return f"{len(checked) - bad:,} valid, {bad:,} refused"


def summary(checked: Sequence[Decided]) -> Mapping[str, Any]:
    """The same for scripts."""
    bad, place = refused(checked), re.compile(Contract().declared_place)
    return {
        "events": len(checked),
        "valid": len(checked) - len(bad),
        "refused": [_refusal(*each, place) for each in bad],
    }


def _refusal(each: Decided, why: Rejection, place: re.Pattern[str]) -> Mapping[str, Any]:
    where = {"number": each.value.number, "line": each.value.line, "event_id": each.event_id}
    path = match[0] if (match := place.match(why.reason)) else None
    return {**where, "code": why.code.value, "path": path, "reason": why.reason}


def name_of(file: BinaryIO) -> str:
    """What messages call the file."""
    name = str(getattr(file, "name", "<stdin>"))
    return "standard input" if name == "<stdin>" else on_a_line(name)
