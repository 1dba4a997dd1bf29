"""What the fast path knows about each type before the first event comes, derived from the type's struct.

What belongs here: reading annotations into the few facts that `decoder` needs. What does not: the decoding. A struct
that uses something unknown here gets no short cut: its events are decided by `strict`, several times slower, and
`make docs` says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

import msgspec
import msgspec.inspect as shapes

from contract.addresses import is_ip_address
from contract.constraints import FORMAT, MAX_BYTES
from contract.contract import EventType
from contract.types import Payload

Getter = Callable[[Payload], Any]
Holds = Callable[[Any], bool]

_ENVELOPE_STRINGS = 4 + 3  # its names, and the values of three of them
_UNQUOTED = (shapes.IntType, shapes.FloatType, shapes.BoolType)


@dataclass(slots=True)
class Shortcut:
    """The facts about one type.

    Attributes:
        name: the type's.
        decode: from the text of a payload to its struct.
        flat: whether every value is a scalar, so that the number of strings in the document can be told.
        quotes: twice the number of strings (names and values) in the document if every field is there.
        optional: fields that may be null (one string less) or missing (two less).
        addresses: fields that must be IP addresses.
        texts: fields bounded in bytes of UTF-8.
        inner_formats: fields that hold others, and whether the addresses among these are some.
        inner_texts: the same for texts bounded in bytes.
        numbers: whether a value may be a number.
    """

    name: str
    decode: Callable[[msgspec.Raw], Payload]
    flat: bool = True
    quotes: int = 2 * _ENVELOPE_STRINGS
    optional: tuple[Getter, ...] = ()
    addresses: tuple[Getter, ...] = ()
    texts: tuple[tuple[Getter, int], ...] = ()
    inner_formats: tuple[tuple[Getter, Holds], ...] = ()
    inner_texts: tuple[tuple[Getter, Holds], ...] = ()
    numbers: bool = False


class _Beyond(Exception):
    """What has no short cut, in words."""


def shortcut(event_type: EventType) -> Shortcut | None:
    """The short cut for a type, or None where only `strict` will do."""
    return None if obstacle(event_type) else _made(event_type)


def obstacle(event_type: EventType) -> str | None:
    """Why a type has no short cut: its field, and what of it only `strict` can check."""
    try:
        _made(event_type)
    except _Beyond as why:
        return str(why)
    return None


def _made(event_type: EventType) -> Shortcut:
    shape = shapes.type_info(event_type.struct)
    made = Shortcut(event_type.name, msgspec.json.Decoder(event_type.struct).decode)
    for each in shape.fields if isinstance(shape, shapes.StructType) else ():
        try:
            _add(made, each)
        except _Beyond as why:
            raise _Beyond(f"{each.encode_name} has {why}") from None
    return made


def _add(made: Shortcut, given: shapes.Field) -> None:
    """Take a field's facts in."""
    alternatives = given.type.types if isinstance(given.type, shapes.UnionType) else (given.type,)
    kept = [each for each in alternatives if not isinstance(each, shapes.NoneType)]
    first, rest = (kept[0], kept[1:]) if kept else (given.type, [])
    extra: dict[str, Any] = (first.extra or {}) if isinstance(first, shapes.Metadata) else {}
    bare = first.type if isinstance(first, shapes.Metadata) else first
    is_text, getter = isinstance(bare, shapes.StrType), attrgetter(given.name)
    formats, texts = _compiled(given.type, _format), _compiled(given.type, _bytes)
    if is_text and not rest:
        made.addresses += (getter,) if FORMAT in extra else ()
        made.texts += ((getter, extra[MAX_BYTES]),) if MAX_BYTES in extra else ()
    else:
        made.inner_formats += ((getter, formats),) if formats else ()
        made.inner_texts += ((getter, texts),) if texts else ()
    if is_text and not rest and _absence_shows(given):
        made.quotes += 4
        made.optional += () if given.required and len(alternatives) == 1 else (getter,)
    elif isinstance(bare, _UNQUOTED) and given.required and len(alternatives) == 1:
        made.quotes += 2
        made.numbers |= not isinstance(bare, shapes.BoolType)
    else:
        made.flat = False


def _absence_shows(given: shapes.Field) -> bool:
    """Whether the struct tells if the field was there: it had to be, or else it is UNSET, not some default."""
    return given.default is msgspec.NODEFAULT and given.default_factory is msgspec.NODEFAULT


def _format(extra: Mapping[str, Any]) -> Holds | None:
    return (lambda value: not isinstance(value, str) or is_ip_address(value)) if FORMAT in extra else None


def _bytes(extra: Mapping[str, Any]) -> Holds | None:
    most: int | None = extra.get(MAX_BYTES)
    return None if most is None else lambda value: not isinstance(value, str) or len(value.encode()) <= most


def _compiled(shape: shapes.Type, own: Callable[[Mapping[str, Any]], Holds | None]) -> Holds | None:
    """Whether a value and all that it holds keep one of our own constraints; None if there is none of that kind inside.

    Raises:
        _Beyond: there is something inside that msgspec does not check as `strict` does, and nothing here knows.
    """
    match shape:
        case shapes.Metadata(type=inner, extra=extra):
            if extra and not (isinstance(inner, shapes.StrType) and extra.keys() <= {MAX_BYTES, FORMAT}):
                raise _Beyond("a constraint of its own on what is not text")
            return _all([own(extra or {}), _compiled(inner, own)])
        case shapes.UnionType(types=alternatives):
            return _all([_compiled(each, own) for each in alternatives])
        case shapes.ListType(item_type=inner):
            holds = _compiled(inner, own)
            return holds and (lambda value: not isinstance(value, list) or all(map(holds, cast("list[Any]", value))))
        case shapes.DictType(value_type=inner):
            holds = _compiled(inner, own)
            return holds and (
                lambda value: not isinstance(value, dict) or all(map(holds, cast("dict[str, Any]", value).values()))
            )
        case shapes.StructType(cls=cls, fields=fields):
            return _struct(cls, [(field.name, _compiled(field.type, own)) for field in fields])
        case shapes.StrType(pattern=pattern) if "$" in (pattern or ""):
            raise _Beyond("a pattern with a $, before which msgspec lets a line break through")
        case _:
            return None


def _struct(cls: type, fields: Sequence[tuple[str, Holds | None]]) -> Holds | None:
    checks = [(attrgetter(name), holds) for name, holds in fields if holds is not None]
    if not checks:
        return None
    return lambda value: not isinstance(value, cls) or all(holds(getter(value)) for getter, holds in checks)


def _all(checks: Sequence[Holds | None]) -> Holds | None:
    found = [holds for holds in checks if holds is not None]
    if len(found) < 2:
        return found[0] if found else None
    return lambda value: all(holds(value) for holds in found)
