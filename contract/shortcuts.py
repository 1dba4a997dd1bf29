"""What the fast path knows about each type before the first event comes, derived from the type's struct.

What belongs here: reading annotations into the few facts that `decoder` needs. What does not: the decoding. A struct
that uses something unknown here gets no short cut: its events are decided by `strict`, a few times slower.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import msgspec.inspect as shapes

from contract.constraints import FORMAT, MAX_BYTES
from contract.contract import EventType
from contract.types import Payload

Getter = Callable[[Payload], Any]

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
        numbers: whether a value may be a number.
    """

    name: str
    decode: Callable[[msgspec.Raw], Payload]
    flat: bool = True
    quotes: int = 2 * _ENVELOPE_STRINGS
    optional: tuple[Getter, ...] = ()
    addresses: tuple[Getter, ...] = ()
    texts: tuple[tuple[Getter, int], ...] = ()
    numbers: bool = False


def shortcut(event_type: EventType) -> Shortcut | None:
    """The short cut for a type, or None where only `strict` will do."""
    shape = shapes.type_info(event_type.struct)
    made = Shortcut(event_type.name, msgspec.json.Decoder(event_type.struct).decode)
    known = isinstance(shape, shapes.StructType) and all(_add(made, each) for each in shape.fields)
    return made if known else None


def _add(made: Shortcut, given: shapes.Field) -> bool:
    """Take a field's facts in; False where they are beyond this module."""
    alternatives = given.type.types if isinstance(given.type, shapes.UnionType) else (given.type,)
    kept = [each for each in alternatives if not isinstance(each, shapes.NoneType)]
    first, rest = (kept[0], kept[1:]) if kept else (given.type, [])
    extra: dict[str, Any] = (first.extra or {}) if isinstance(first, shapes.Metadata) else {}
    bare = first.type if isinstance(first, shapes.Metadata) else first
    is_text, getter = isinstance(bare, shapes.StrType), attrgetter(given.name)
    if any(map(_constrained, (bare, *rest))) or (extra and not is_text):
        return False
    if FORMAT in extra:
        made.addresses += (getter,)
    if MAX_BYTES in extra:
        made.texts += ((getter, extra[MAX_BYTES]),)
    if is_text and not rest and _absence_shows(given):
        made.quotes += 4
        made.optional += () if given.required and len(alternatives) == 1 else (getter,)
    elif isinstance(bare, _UNQUOTED) and given.required and len(alternatives) == 1:
        made.quotes += 2
        made.numbers |= not isinstance(bare, shapes.BoolType)
    else:
        made.flat = False
    return True


def _absence_shows(given: shapes.Field) -> bool:
    """Whether the struct tells if the field was there: it had to be, or else it is UNSET, not some default."""
    return given.default is msgspec.NODEFAULT and given.default_factory is msgspec.NODEFAULT


def _constrained(shape: shapes.Type) -> bool:
    """Whether there is anywhere inside what msgspec does not check as we do."""
    match shape:
        case shapes.Metadata(type=inner, extra=extra):
            return bool(extra) or _constrained(inner)
        case shapes.UnionType(types=alternatives):
            return any(map(_constrained, alternatives))
        case shapes.ListType(item_type=inner) | shapes.DictType(value_type=inner):
            return _constrained(inner)
        case shapes.StructType(fields=fields):
            return any(_constrained(field.type) for field in fields)
        case shapes.StrType(pattern=pattern):
            return "$" in (pattern or "")  # msgspec lets a last line break through
        case _:
            return False
