"""Exact checks of parsed JSON, made from the annotations of a struct, with reasons for people.

What belongs here: containers, and which check an annotation gets. What does not: single values (`scalars`) and the
envelope (`strict`). An annotation that nothing here understands is an error when the contract is made, not when an
event comes.
"""

from collections.abc import Callable
from typing import Any, cast

import msgspec.inspect as shapes

from contract.codes import RejectionCode
from contract.reasons import InvalidEvent, join
from contract.scalars import SCALARS, Check, constrain, require, wrong_type


def compile_check(shape: shapes.Type) -> Check:
    """The check that an annotation asks for.

    Raises:
        TypeError: the annotation, or one of its bounds, is not supported.
    """
    if isinstance(shape, shapes.Metadata):
        return constrain(compile_check(shape.type), shape.extra or {})
    maker = _MAKERS.get(type(shape))
    if maker is None:
        kinds = "str, int, float, bool, None, Any, Literal, list, dict, structs and unions of them"
        raise TypeError(f"the contract cannot check {shape}; it knows {kinds}")
    return maker(shape)


def _list(shape: shapes.ListType) -> Check:
    item_check = compile_check(shape.item_type)
    in_bounds = _lengths(shape, "item")

    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            raise wrong_type(path, "an array", value)
        items = cast("list[object]", value)
        in_bounds(items, path)
        for index, item in enumerate(items):
            item_check(item, join(path, index))

    return check


def _dict(shape: shapes.DictType) -> Check:
    if shape.key_type not in (shapes.StrType(), shapes.AnyType()):
        raise TypeError("the contract cannot check keys: they are plain str")
    value_check = compile_check(shape.value_type)
    in_bounds = _lengths(shape, "key")

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        members = cast("dict[str, object]", value)
        in_bounds(members, path)
        for key, member in members.items():
            value_check(member, join(path, key))

    return check


def _lengths(shape: shapes.ListType | shapes.DictType, what: str) -> Callable[[list[Any] | dict[str, Any], str], None]:
    least, most = shape.min_length or 0, shape.max_length

    def check(value: list[Any] | dict[str, Any], path: str) -> None:
        require(len(value) >= least, path, f"at least {least} {what}s", value)
        require(most is None or len(value) <= most, path, f"at most {most} {what}s", value)

    return check


def _struct(shape: shapes.StructType) -> Check:
    if shape.forbid_unknown_fields or shape.array_like or shape.tag is not None:
        raise TypeError(f"{shape.cls.__name__}: unknown fields are kept, so a struct is a plain one, without a tag")
    fields = [(field.encode_name, field.required, compile_check(field.type)) for field in shape.fields]

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        members = cast("dict[str, object]", value)
        for name, required, field_check in fields:
            if name in members:
                field_check(members[name], join(path, name))
            elif required:
                raise missing(path, name)

    return check


def missing(path: str, name: str) -> InvalidEvent:
    """The refusal of an object that lacks a field."""
    return InvalidEvent(RejectionCode.MISSING_FIELD, join(path, name), "a value", "no such field")


def _union(shape: shapes.UnionType) -> Check:
    alternatives = [compile_check(alternative) for alternative in shape.types]

    def check(value: object, path: str) -> None:
        refusals: list[InvalidEvent] = []
        for alternative in alternatives:
            try:
                return alternative(value, path)
            except InvalidEvent as refused:
                refusals.append(refused)
        for refused in refusals:  # of the right type, but out of bounds: that says more
            if refused.code is not RejectionCode.WRONG_TYPE or refused.path != path:
                raise refused
        raise wrong_type(path, " or ".join(refused.expected for refused in refusals), value)

    return check


_MAKERS: dict[type[shapes.Type], Callable[[Any], Check]] = {
    **SCALARS,
    shapes.ListType: _list,
    shapes.DictType: _dict,
    shapes.StructType: _struct,
    shapes.UnionType: _union,
}
