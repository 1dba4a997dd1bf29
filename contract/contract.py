"""The contract: which types of events there are, and all that follows from their structs.

What belongs here: the registry and what others ask it (names, fields, checks, examples). What does not: the structs
(`types`), reading bytes (`decode`) and the schema files (`schema`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import msgspec.inspect as shapes

from contract import types
from contract.checks import compile_check
from contract.document import read
from contract.examples import example_of
from contract.reasons import InvalidEvent, join
from contract.scalars import Check

Kind = Literal["text", "number", "integer", "boolean", "json"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KINDS: dict[type[shapes.Type], Kind] = {
    shapes.StrType: "text",
    shapes.FloatType: "number",
    shapes.IntType: "integer",
    shapes.BoolType: "boolean",
}


@dataclass(frozen=True)
class Field:
    """A field of a payload, for those who make columns and documents of it."""

    name: str
    attribute: str
    kind: Kind
    required: bool
    nullable: bool
    description: str
    example: object


@dataclass(frozen=True)
class EventType:
    """A type of event."""

    name: str
    struct: type[types.Payload]
    description: str
    fields: tuple[Field, ...]
    check: Check = field(repr=False)

    def example(self) -> dict[str, Any]:
        """An event of this type that the contract accepts, made anew at each call."""
        return {
            "eventId": "0190163d-8694-739b-aea5-966c26f8ad91",
            "type": self.name,
            "timestamp": "2025-05-18T14:00:00.123Z",
            "payload": {each.name: msgspec.json.decode(msgspec.json.encode(each.example)) for each in self.fields},
        }


class Contract(Mapping[str, EventType]):
    """All types of events by name. Immutable; `with_types` makes a larger one."""

    def __init__(self, structs: Iterable[type[types.Payload]] | None = None) -> None:
        """Make a contract of the structs, by default of all in `types`.

        Raises:
            TypeError: a struct uses what the contract cannot check, or its example does not pass its own checks.
            ValueError: two structs have the same name.
        """
        self._structs = tuple(_all_types() if structs is None else structs)
        made = [_event_type(struct) for struct in self._structs]
        self._types = MappingProxyType({each.name: each for each in made})
        if len(self._types) != len(made):
            raise ValueError(f"two types have the same name: {', '.join(each.name for each in made)}")

    def with_types(self, *structs: type[types.Payload]) -> "Contract":
        """A contract that knows these types as well."""
        return Contract((*self._structs, *structs))

    @property
    def declared_place(self) -> str:
        """A regular expression, for Python and PostgreSQL, of the declared field that a reason begins with.

        It ends before what a producer has named, such as a key of an open object: that may be anybody's address.
        """
        fields = {join("$.payload", each.name) for kind in self.values() for each in kind.fields}
        envelope = {join("$", name) for name in ("eventId", "type", "timestamp", "payload")}
        places = sorted({"$", *envelope, *fields}, key=lambda place: (-len(place), place))
        return f"^(?:{'|'.join(map(re.escape, places))})(?=[:.[])"

    def __getitem__(self, name: str) -> EventType:
        return self._types[name]

    def __iter__(self):
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)


def _all_types() -> list[type[types.Payload]]:
    found = [each for each in vars(types).values() if isinstance(each, type) and issubclass(each, types.Payload)]
    return [each for each in found if each is not types.Payload]


def _event_type(struct: type[types.Payload]) -> EventType:
    shape = shapes.type_info(struct)
    if not isinstance(shape, shapes.StructType):  # only a StructType has fields, as far as types are concerned
        raise TypeError(f"{struct} is no msgspec struct")
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", struct.__name__).lower()
    if not _NAME.fullmatch(name):
        raise TypeError(f"{struct.__name__}: a type is named in at most 63 letters, digits and underscores")
    user = next(each for each in map(_field, shape.fields) if each.attribute == "user_id")
    if user.name != "userId" or user.kind != "text" or user.nullable or not user.required:
        raise TypeError(f"{struct.__name__}: userId is text and required")
    check = compile_check(shape)
    made = EventType(name, struct, (struct.__doc__ or "").strip(), tuple(map(_field, shape.fields)), check)
    _check_example(made)
    return made


def _field(given: shapes.Field) -> Field:
    alternatives = given.type.types if isinstance(given.type, shapes.UnionType) else (given.type,)
    kept = [each for each in alternatives if not isinstance(each, shapes.NoneType)]
    first = kept[0] if kept else given.type
    bare = first.type if isinstance(first, shapes.Metadata) else first
    described = (first.extra_json_schema or {}) if isinstance(first, shapes.Metadata) else {}
    return Field(
        name=given.encode_name,
        attribute=given.name,
        kind=_kind(bare) if len(kept) == 1 else "json",
        required=given.required,
        nullable=len(kept) < len(alternatives),
        description=str(described.get("description", "")),
        example=example_of(first),
    )


def _kind(shape: shapes.Type) -> Kind:
    if isinstance(shape, shapes.LiteralType) and all(isinstance(value, str) for value in shape.values):
        return "text"
    return _KINDS.get(type(shape), "json")


def _check_example(made: EventType) -> None:
    text = msgspec.json.encode(made.example()).decode()
    try:
        made.check(read(text).members["payload"].value, "$.payload")
    except InvalidEvent as refused:
        what = f"{made.struct.__name__} needs examples that it accepts, in Annotated[..., Meta(examples=[...])]"
        raise TypeError(f"{what}: {refused.reason}") from None
