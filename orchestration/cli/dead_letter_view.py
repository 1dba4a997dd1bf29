"""How dead letters look on a terminal and in JSON.

What belongs here: text, tables, and the names in the JSON. What does not: the commands (`dead_letters`).
What comes from a record may hold anything, so it is written by `contract.shown`, and rich is given it as `Text`.
"""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from assets.dead_letters.listing import AttemptRow, DeadLetterDetail, DeadLetterRow, Group
from assets.dead_letters.redrive import Redriven
from contract.shown import on_a_line

_SHOWN, _HEADERS = 2_000, 20
_WIDE = 200
_GROUPED = ("code", "field", "dead letters", "example", "first", "last")
_NEWEST = ("id", "first seen", "record", "status", "tries", "code", "reason")
_OUTCOMES = {"stored": "stored", "duplicate": "duplicates", "refused": "refused again"}
_RARE = {"erased": "erased", "expired": "expired"}


def console() -> Console:
    """Where tables go; what is not a terminal has no edge."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)


def number_of(number: int) -> str:
    """A number of dead letters in words."""
    return f"{number:,} dead letter" + ("" if number == 1 else "s")


def listed(groups: Sequence[Group], rows: Sequence[DeadLetterRow]) -> dict[str, Any]:
    """A list for scripts; `summary` is by code, `groups` by code and field."""
    return {
        "summary": _by_code(groups),
        "groups": [_plain(g._asdict()) for g in groups],
        "letters": [_plain(r._asdict()) for r in rows],
    }


def _by_code(groups: Sequence[Group]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for g in groups:
        one = found.setdefault(g.code, {"code": g.code, "letters": 0, "first": g.first, "last": g.last})
        one["letters"] += g.letters
        one["first"], one["last"] = min(one["first"], g.first), max(one["last"], g.last)
    return [_plain(one) for one in sorted(found.values(), key=lambda one: (-one["letters"], one["code"]))]


def show_list(groups: Sequence[Group], rows: Sequence[DeadLetterRow], status: str, console: Console) -> None:
    """A table of codes and fields, one of the newest dead letters with their reasons, and what to call next."""
    if not groups:
        console.print("no dead letters" if status == "all" else f"no {status} dead letters")
        return
    table = _table(number_of(sum(g.letters for g in groups)), _GROUPED, numbers=("dead letters", "example"))
    for g in groups:
        numbers = f"{g.letters:,}", str(g.example)
        table.add_row(_text(g.code), _text(g.path or "-"), *numbers, _time(g.first), _time(g.last))
    console.print(table)
    if rows:
        table = _table("the newest", _NEWEST, numbers=("id", "tries"))
        for r in rows:
            where = _text(f"{r.topic}/{r.partition}@{r.offset}")
            about = _text(r.code), _text(r.reason)
            table.add_row(str(r.id), _time(r.first_seen_at), where, r.status, str(r.attempts), *about)
        console.print(table)
    for line in next_commands(groups):
        console.print(_text(line), soft_wrap=True)


def next_commands(groups: Sequence[Group]) -> list[str]:
    """What shows more about the largest group, and what tries it again."""
    code, example = groups[0].code, groups[0].example
    return [
        f"Everything of one:         millrace dead-letters show {example}",
        f"Try again, change nothing: millrace dead-letters redrive --code {code} --dry-run",
    ]


def _table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        folds = name in ("record", "code", "field", "reason")
        justify = "right" if name in numbers else "left"
        table.add_column(name, no_wrap=not folds, overflow="fold", justify=justify)
    return table


def whole(dead_letter: DeadLetterDetail, attempts: Sequence[AttemptRow]) -> dict[str, Any]:
    """Everything of a dead letter for scripts: bytes as {"text": ...} or, where they are no UTF-8, {"hex": ...}."""
    values = zip(dead_letter.header_names, dead_letter.header_values, strict=True)
    return {
        **_plain({k: v for k, v in dead_letter._asdict().items() if not k.startswith("header_")}),
        "topic_id": str(dead_letter.topic_id),
        "key": _encoded(dead_letter.key),
        "value": _encoded(dead_letter.value),
        "headers": [[_encoded(name), _encoded(value)] for name, value in values],
        "history": [_plain(a._asdict()) for a in attempts],
    }


def described(dead_letter: DeadLetterDetail, attempts: Sequence[AttemptRow], *, full: bool) -> str:
    """Everything of a dead letter for people."""
    record = f"{on_a_line(dead_letter.topic)}/{dead_letter.partition}@{dead_letter.offset}"
    lines = [
        f"dead letter {dead_letter.id}: {dead_letter.status}",
        f"  record    {record} (topic id {dead_letter.topic_id})",
        f"  sent      {_time(dead_letter.kafka_timestamp) if dead_letter.kafka_timestamp else '(no timestamp)'}",
        f"  code      {on_a_line(dead_letter.code)}",
        f"  reason    {on_a_line(dead_letter.reason)}",
        f"  attempts  {dead_letter.attempts}",
    ]
    for a in attempts:
        why = on_a_line(": ".join(filter(None, (a.code if a.outcome == "refused" else None, a.reason))))
        lines.append(f"    {a.attempt:>3}  {_time(a.at)}  {a.outcome:<9}  {a.run_id}" + (f"  {why}" if why else ""))
    headers = list(zip(dead_letter.header_names, dead_letter.header_values, strict=True))
    for name, value in headers if full else headers[:_HEADERS]:
        lines.append(f"  header    {_shown(name, full=full)}: {_shown(value, full=full)}")
    if not full and len(headers) > _HEADERS:
        lines.append(f"  header    ... ({len(headers) - _HEADERS:,} more; --full shows all)")
    lines.append(f"  key       {_shown(dead_letter.key, full=full)}")
    lines.append(f"  value     {_shown(dead_letter.value, full=full)}")
    return "\n".join(lines)


def redriven(done: Redriven, *, dry_run: bool) -> dict[str, Any]:
    """What a redrive did for scripts."""
    names = {**{k: k for k in (*_OUTCOMES, *_RARE)}, "duplicate": "duplicates"}
    totals = {name: done.total(outcome) for outcome, name in names.items()}
    by_code = {
        code: {name: counts.get(outcome, 0) for outcome, name in names.items()} for code, counts in done.by_code.items()
    }
    about = {"run": None if dry_run else done.run, "dry_run": dry_run, "chosen": done.chosen}
    return {**about, **totals, "skipped": done.skipped, "by_code": by_code}


def show_redriven(done: Redriven, console: Console, *, dry_run: bool) -> None:
    """A table by code, and what it comes to."""
    names = {**_OUTCOMES, **{k: v for k, v in _RARE.items() if done.total(k)}}
    if done.by_code:
        table = Table("code", title="would be, by code until now" if dry_run else "by code until now")
        for name in names.values():
            table.add_column(name, justify="right")
        for code, counts in done.by_code.items():
            table.add_row(_text(code), *(f"{counts.get(outcome, 0):,}" for outcome in names))
        console.print(table)
    refused, would = done.total("refused"), "would be " if dry_run else ""
    resolved = done.chosen - done.skipped - refused
    console.print(f"{number_of(done.chosen)} chosen: {resolved:,} {would}resolved, {refused:,} {would}refused again")
    if done.skipped:
        console.print(f"{number_of(done.skipped)} skipped: another command or run settled them")
    if dry_run:
        console.print("dry run: nothing was changed")


def _shown(data: bytes | None, *, full: bool) -> str:
    if data is None:
        return "(none)"
    try:
        text = on_a_line(data.decode())
    except UnicodeDecodeError:
        text = "hex " + data.hex()
    if full or len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}... ({len(data):,} bytes; --full shows all)"


def _text(text: str) -> Text:
    """For rich, which else would read [words in brackets] as orders."""
    return Text(on_a_line(text))


def _encoded(data: bytes | None) -> dict[str, str] | None:
    if data is None:
        return None
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
