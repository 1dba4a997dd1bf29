"""A file of events: which values it holds, and what the pipeline would decide about each.

What belongs here: telling the values apart, and asking the decoder. What does not: the rules (`contract`), sending
(`sender`), printing. Each value keeps its bytes as they stand in the file; only the white space around it is left out,
which JSON does not have.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from contract.decoder import Decoder, Event, Rejection

_WHITE = b" \t\r\n"
_GAP = re.compile(r"[ \t\r\n]*")
# Each value is decided by the contract later: here only its end matters.
_scan = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False).raw_decode


class Value(NamedTuple):
    """One value of a file: its number and the line on which it begins, both from 1."""

    number: int
    line: int
    data: bytes


class Decided(NamedTuple):
    """A value and what the pipeline would make of it, with the id and the user that it names, where it names them."""

    value: Value
    found: Event | Rejection
    event_id: str | None
    user_id: str | None


def values(data: bytes) -> list[Value]:
    """The values of a file, which is one JSON document (an event, or an array of events) or has a value on each line.

    Never raises, whatever the bytes. Empty lines are no values. What begins as a document of several lines and is none
    is one value, so that its fault is told once.
    """
    lines = [(number, line.strip(_WHITE)) for number, line in enumerate(data.split(b"\n"), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines or (len(lines) > 1 and _is_document(lines[0][1])):
        return _numbered(lines)
    whole = (lines[0][0], data.strip(_WHITE))
    elements = _elements(*whole)
    if elements is not None:
        return _numbered(elements)
    is_list = whole[1].startswith(b"[")
    if is_list or _is_document(whole[1]) or not any(_is_document(line) for _, line in lines if line.startswith(b"{")):
        return _numbered([whole])
    return _numbered(lines)


def decided(found: Sequence[Value], decoder: Decoder, now_us: int) -> Iterator[Decided]:
    """What the pipeline would decide about each value by itself; it also knows which ids were used before."""
    for value in found:
        members = _members(value.data)
        payload = members.get("payload")
        named = (members.get("eventId"), cast("dict[str, Any]", payload).get("userId") if _is_object(payload) else None)
        event_id, user_id = (text if isinstance(text, str) else None for text in named)
        yield Decided(value, decoder.decode(value.data, now_us), event_id, user_id)


def _numbered(found: Sequence[tuple[int, bytes]]) -> list[Value]:
    return [Value(number, line, data) for number, (line, data) in enumerate(found, 1)]


def _is_document(value: bytes) -> bool:
    text = _text(value)
    if text is None:
        return False
    try:
        return _scan(text)[1] == len(text)
    except (ValueError, RecursionError):
        return False


def _elements(line: int, value: bytes) -> list[tuple[int, bytes]] | None:
    """The elements of an array and the lines on which they begin; None where the value is no array."""
    text = _text(value) or ""
    found: list[tuple[int, bytes]] = []
    position, seen = _after_white(text, 1), 0
    if not text.startswith("["):
        return None
    while not text.startswith("]", position):
        if found and not text.startswith(",", position):
            return None
        start = _after_white(text, position + bool(found))
        try:
            end = _scan(text, start)[1]
        except (ValueError, RecursionError):
            return None
        line, seen = line + text.count("\n", seen, start), start
        found.append((line, text[start:end].encode()))
        position = _after_white(text, end)
    return found if position == len(text) - 1 else None


def _after_white(text: str, position: int) -> int:
    match = _GAP.match(text, position)
    return match.end() if match else position


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _members(value: bytes) -> dict[str, Any]:
    try:
        found: object = _scan(value.decode())[0]
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if _is_object(found) else {}


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
