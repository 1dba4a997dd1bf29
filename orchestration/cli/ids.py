"""Reads a list of users' ids, one a line, as bytes: what no line of the list says is nobody's id.

What belongs here: where lines end, and which of them are refused. What does not: what is done to the users (`erase`).
An id is never put into an error: errors name lines.

A line ends at a line feed and nowhere else: an id may hold any other character, U+2028 and U+0085 among them. A list
of which every line ends in carriage return and line feed comes from Windows, and its lines end there; a carriage return
before some line feeds only could belong to an id, and is refused.
"""

import codecs
import json
from typing import NamedTuple

import click


class Listed(NamedTuple):
    """An id, and the line of the list that it stands on, from 1."""

    line: int
    user: str


def given(user: str) -> list[Listed]:
    """The id of the command line."""
    return [Listed(1, _storable(user, "the id"))] if user else []


def read(data: bytes, *, json_strings: bool = False) -> list[Listed]:
    """The ids of a list, each once; empty lines are left out.

    Args:
        data: as it came, a byte order mark in front or not.
        json_strings: a line that begins with a quotation mark is a JSON string, which can hold line ends.

    Raises:
        click.UsageError: some line cannot be read; nothing is guessed.
    """
    lines = _lines(data.removeprefix(codecs.BOM_UTF8))
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line:
            found.setdefault(_read(number, line, json_strings=json_strings), number)
    return [Listed(number, user) for user, number in found.items()]


def _lines(data: bytes) -> list[bytes]:
    *ended, rest = data.split(b"\n")
    if ended and all(line.endswith(b"\r") for line in ended):
        return [line.removesuffix(b"\r") for line in (*ended, rest)]
    lines = [*ended, rest]
    odd = next((n for n, line in enumerate(lines, 1) if line.endswith(b"\r")), None)
    if odd is not None:
        raise click.UsageError(
            f"line {odd} of the list ends with a carriage return and others do not: end all lines alike, or write the "
            "ids as JSON strings and say --json"
        )
    return lines


def _read(number: int, line: bytes, *, json_strings: bool) -> str:
    where = f"line {number} of the list"
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{where} is not UTF-8: convert the list and try again; nothing was done") from None
    if json_strings and text.startswith('"'):
        text = _string(text, where)
    return _storable(text, where)


def _string(text: str, where: str) -> str:
    try:
        found: object = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, str) or not found:
        raise click.UsageError(
            f"{where} begins with a quotation mark and is no JSON string of an id; with --json write an id that begins "
            "with one as a JSON string"
        )
    return found


def _storable(text: str, where: str) -> str:
    """What no event can hold is a mistake in the list, not a user."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise click.UsageError(f"{where} is not UTF-8: nothing was done") from None
    if "\0" in text:
        raise click.UsageError(f"{where} holds U+0000, which no id does: nothing was done")
    return text
