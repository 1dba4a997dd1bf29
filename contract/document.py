"""JSON documents read strictly: well-formed, an object, no key twice, every member with its exact text.

What belongs here: JSON as such. What does not: what an event is (`strict`). Python's own scanner does the reading
(`reader`); only the outermost object is taken apart here, since the scanner does not say where a member stands.
"""

import re
from json import JSONDecodeError, JSONDecoder
from typing import NamedTuple, NoReturn

from contract.codes import RejectionCode
from contract.reader import Reader, Repeated, Steps, find, not_json
from contract.reasons import InvalidEvent, path_of, printable, show

_WHITESPACE = re.compile(r"[ \t\n\r]*")


class Member(NamedTuple):
    """A value of the outermost object and its text, as it stands in the document."""

    value: object
    text: str


class Document(NamedTuple):
    """The members of the outermost object; `unfit` says whether there is an `Unfit` number anywhere inside."""

    members: dict[str, Member]
    unfit: bool


def read(text: str) -> Document:
    """Read a document that is an object and not too deep.

    Raises:
        Refused: not_json, not_an_object, or invalid_value for a key that is there twice, at whatever depth.
    """
    reader = Reader()
    try:
        members, twice = _members(text, reader)
    except JSONDecodeError as error:
        raise not_json(f"an error at character {error.pos}: {error.msg}") from None
    if twice is not None:
        raise _repeated((), twice)
    if reader.repeated:
        _refuse_repeated({name: member.value for name, member in members.items()})
    return Document(members, reader.unfit)


def _members(text: str, reader: JSONDecoder) -> tuple[dict[str, Member], str | None]:
    """The members of the outermost object, and the first name among them that is there twice."""
    position = _skip(text, 0)
    if position == len(text):
        raise not_json("nothing" if not text else "only white space")
    if text[position] != "{":
        _no_object(text, position, reader)
    members: dict[str, Member] = {}
    twice: str | None = None
    position = _skip(text, position + 1)
    closed = text.startswith("}", position)
    while not closed:
        name, position = _name(text, position, reader)
        value, end = reader.raw_decode(text, position)
        if name in members and twice is None:
            twice = name
        members[name] = Member(value, text[position:end])
        position = _skip(text, end)
        closed = text.startswith("}", position)
        if not closed:
            position = _skip(text, _expect(",", text, position))
    _end(text, position + 1)
    return members, twice


def _skip(text: str, position: int) -> int:
    match = _WHITESPACE.match(text, position)
    return match.end() if match else position


def _expect(character: str, text: str, position: int) -> int:
    if not text.startswith(character, position):
        raise JSONDecodeError(f"Expecting '{character}'", text, position)
    return position + 1


def _name(text: str, position: int, reader: JSONDecoder) -> tuple[str, int]:
    """The name that begins here, and where its value begins."""
    _expect('"', text, position)
    name, end = reader.raw_decode(text, position)
    return name, _skip(text, _expect(":", text, _skip(text, end)))


def _end(text: str, position: int) -> None:
    if _skip(text, position) != len(text):
        raise JSONDecodeError("Extra data", text, _skip(text, position))


def _no_object(text: str, position: int, reader: JSONDecoder) -> NoReturn:
    value, end = reader.raw_decode(text, position)
    _end(text, end)
    raise InvalidEvent(RejectionCode.NOT_AN_OBJECT, "$", "an object", show(value))


def _refuse_repeated(document: dict[str, object]) -> None:
    fault = find(document, lambda value: isinstance(value, Repeated))
    if fault is not None and isinstance(fault[1], Repeated):
        raise _repeated(fault[0], fault[1].key)


def _repeated(steps: Steps, key: str) -> InvalidEvent:
    return InvalidEvent(
        RejectionCode.INVALID_VALUE, path_of(steps), "every key once", f'the key "{printable(key)}" twice'
    )
