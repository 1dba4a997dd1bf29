"""What a type's fields may hold, in words: its kinds, bounds and patterns, and the fields of what is nested in it.

What belongs here: reading annotations for people. What does not: checking (`checks`, `scalars`), and documents
(`orchestration.generate`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec.inspect as shapes

from contract.constraints import FORMAT, MAX_BYTES
from contract.contract import EventType
from contract.shown import on_a_line

_KINDS: dict[type[shapes.Type], str] = {
    shapes.StrType: "text",
    shapes.FloatType: "number",
    shapes.IntType: "integer",
    shapes.BoolType: "boolean",
    shapes.ListType: "list",
    shapes.DictType: "object",
    shapes.StructType: "object",
    shapes.AnyType: "any JSON",
}


@dataclass(frozen=True)
class FieldText:
    """A field for people; `name` is a path such as `items[].sku`."""

    name: str
    kind: str
    required: bool
    nullable: bool
    bounds: str
    meaning: str


def described(event_type: EventType) -> list[FieldText]:
    """The fields of a payload, each followed by those that are nested in it."""
    return list(_fields(shapes.type_info(event_type.struct), ""))


def _fields(shape: shapes.Type, prefix: str) -> Iterator[FieldText]:
    if not isinstance(shape, shapes.StructType):
        return
    for field in shape.fields:
        name = prefix + field.encode_name
        kept = [each for each in _alternatives(field.type) if not isinstance(each, shapes.NoneType)]
        yield FieldText(
            name=name,
            kind=" or ".join(dict.fromkeys(map(_kind, kept))),
            required=field.required,
            nullable=len(kept) < len(_alternatives(field.type)),
            bounds="; or ".join(dict.fromkeys(filter(None, map(_bounds, kept)))),
            meaning=_meaning(kept),
        )
        for each in kept:
            yield from _nested(_bare(each), name)


def _nested(shape: shapes.Type, name: str) -> Iterator[FieldText]:
    if isinstance(shape, shapes.ListType):
        item = shape.item_type
        if not isinstance(_bare(item), shapes.StructType) and _bounds(item):
            yield FieldText(f"{name}[]", _kind(item), True, False, _bounds(item), _meaning([item]))
        yield from _nested(_bare(item), f"{name}[]")
    elif isinstance(shape, shapes.DictType):
        if _bounds(shape.value_type):
            yield FieldText(f"{name}.*", _kind(shape.value_type), True, False, _bounds(shape.value_type), "")
        yield from _nested(_bare(shape.value_type), f"{name}.*")
    else:
        yield from _fields(shape, f"{name}.")


def _alternatives(shape: shapes.Type) -> tuple[shapes.Type, ...]:
    return tuple(shape.types) if isinstance(shape, shapes.UnionType) else (shape,)


def _bare(shape: shapes.Type) -> shapes.Type:
    return shape.type if isinstance(shape, shapes.Metadata) else shape


def _kind(shape: shapes.Type) -> str:
    bare = _bare(shape)
    if isinstance(bare, shapes.LiteralType):
        return "text" if all(isinstance(value, str) for value in bare.values) else "integer"
    return _KINDS.get(type(bare), "any JSON")


def _meaning(kept: list[shapes.Type]) -> str:
    for shape in kept:
        if isinstance(shape, shapes.Metadata):
            text = str((shape.extra_json_schema or {}).get("description", ""))
            # The bounds have a column of their own.
            return text.removesuffix(f"At most {(shape.extra or {}).get(MAX_BYTES)} bytes of UTF-8.").strip()
    return ""


def _bounds(shape: shapes.Type) -> str:
    extra: dict[str, Any] = (shape.extra or {}) if isinstance(shape, shapes.Metadata) else {}
    if FORMAT in extra:
        return "an IPv4 or IPv6 address"
    match _bare(shape):
        case shapes.StrType(min_length=least, max_length=most, pattern=pattern):
            size = _between(least, extra.get(MAX_BYTES, most), "bytes of UTF-8" if MAX_BYTES in extra else "characters")
            return ", ".join(filter(None, [size, f"matches `{on_a_line(pattern)}`" if pattern else ""]))
        case shapes.IntType(ge=ge, gt=gt, le=le, lt=lt) | shapes.FloatType(ge=ge, gt=gt, le=le, lt=lt):
            signs = {"≥": ge, ">": gt, "≤": le, "<": lt}
            return ", ".join(f"{sign} {bound:,}" for sign, bound in signs.items() if bound is not None)
        case shapes.LiteralType(values=values):
            return "one of " + ", ".join(f"`{value}`" for value in values)
        case shapes.ListType(min_length=least, max_length=most):
            return _between(least, most, "items")
        case shapes.DictType(min_length=least, max_length=most):
            return _between(least, most, "keys")
        case _:
            return ""


def _between(least: int | None, most: int | None, what: str) -> str:
    if most is None:
        return f"at least {least:,} {what}" if least else ""
    return f"{least:,} to {most:,} {what}" if least else f"at most {most:,} {what}"
