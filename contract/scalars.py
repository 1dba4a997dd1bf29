"""Checks of single values: text, numbers, true and false, null, literals, and the constraints of our own.

What belongs here: what a kind of annotation means for a value that holds no others. What does not: containers
(`checks`). Numbers arrive as `int` or `Decimal`, and as `document.Unfit` where they are too long.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from math import copysign, inf, isinf
from operator import ge, gt, le, lt
from typing import Any

import msgspec.inspect as shapes

from contract.addresses import is_ip_address
from contract.codes import RejectionCode
from contract.constraints import FORMAT, IP_ADDRESS, MAX_BYTES
from contract.reasons import InvalidEvent, show

Check = Callable[[object, str], None]
"""Raises `Refused` where the value, found at the path, is not what the annotation says."""

_TINY = 5e-324
# A `$` that means an end, or what may hold one that does not: an escape, a set of characters.
_DOLLAR = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$\(\?!\\n\)|\$", re.DOTALL)


def wrong_type(path: str, expected: str, value: object) -> InvalidEvent:
    """The refusal of a value that is another JSON type than expected."""
    return InvalidEvent(RejectionCode.WRONG_TYPE, path, expected, show(value))


def require(holds: bool, path: str, expected: str, value: object) -> None:
    """Refuse a value of the right type that breaks its bounds."""
    if not holds:
        raise InvalidEvent(RejectionCode.INVALID_VALUE, path, expected, show(value))


def as_double(number: int | Decimal) -> float:
    """The nearest double; infinite where there is none, and never zero unless the number is zero."""
    try:
        nearest = float(number)
    except OverflowError:
        return inf if number > 0 else -inf
    return nearest if nearest or not number else copysign(_TINY, number)


def constrain(inner: Check, extra: dict[str, Any]) -> Check:
    """A check together with the constraints of `constraints`."""
    if extra.keys() - {MAX_BYTES, FORMAT} or extra.get(FORMAT, IP_ADDRESS) != IP_ADDRESS:
        raise TypeError(f"the contract does not know the constraints {extra}")
    max_bytes: int | None = extra.get(MAX_BYTES)

    def check(value: object, path: str) -> None:
        if max_bytes is not None and isinstance(value, str) and (length := len(value.encode())) > max_bytes:
            expected = f"at most {max_bytes} bytes of UTF-8"
            raise InvalidEvent(RejectionCode.INVALID_VALUE, path, expected, f"{length} bytes: {show(value)}")
        inner(value, path)
        if FORMAT in extra and isinstance(value, str):
            require(is_ip_address(value), path, "an IPv4 or IPv6 address", value)

    return check


def _any(_: shapes.AnyType) -> Check:
    def check(value: object, path: str) -> None:
        """Everything will do."""

    return check


def _null(_: shapes.NoneType) -> Check:
    def check(value: object, path: str) -> None:
        if value is not None:
            raise wrong_type(path, "null", value)

    return check


def _bool(_: shapes.BoolType) -> Check:
    def check(value: object, path: str) -> None:
        if not isinstance(value, bool):
            raise wrong_type(path, "true or false", value)

    return check


def strict_end(pattern: str) -> str:
    """A pattern whose `$` is the very end, as JSON Schema means it: Python's lets a last line break through."""
    return _DOLLAR.sub(lambda found: found[0] + r"(?!\n)" if found[0] == "$" else found[0], pattern)


def _str(shape: shapes.StrType) -> Check:
    least, most, pattern = shape.min_length or 0, shape.max_length, re.compile(strict_end(shape.pattern or ""))

    def check(value: object, path: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(path, "a string", value)
        require(len(value) >= least, path, f"at least {least} character{'s' * (least > 1)}", value)
        require(most is None or len(value) <= most, path, f"at most {most} characters", value)
        require(pattern.search(value) is not None, path, f"text that matches {shape.pattern}", value)

    return check


def _int(shape: shapes.IntType) -> Check:
    in_bounds = _bounds(shape)

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or value != int(value):
            raise wrong_type(path, "an integer", value)
        in_bounds(value, int(value), path)

    return check


def _float(shape: shapes.FloatType) -> Check:
    in_bounds = _bounds(shape)

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise wrong_type(path, "a number", value)
        double = as_double(value)
        require(not isinf(double), path, "a number in the range of a double", value)
        in_bounds(value, double, path)

    return check


def _bounds(shape: shapes.IntType | shapes.FloatType) -> Callable[[object, float, str], None]:
    if shape.multiple_of is not None:
        raise TypeError("the contract cannot check multiple_of")
    given = [(">=", ge, shape.ge), (">", gt, shape.gt), ("<=", le, shape.le), ("<", lt, shape.lt)]
    bounds = [(f"a number {sign} {bound}", holds, bound) for sign, holds, bound in given if bound is not None]

    def check(value: object, number: float, path: str) -> None:
        for expected, holds, bound in bounds:
            require(holds(number, bound), path, expected, value)

    return check


def _literal(shape: shapes.LiteralType) -> Check:
    kinds = {type(value) for value in shape.values}
    expected = "one of " + ", ".join(map(show, shape.values))

    def check(value: object, path: str) -> None:
        if type(value) not in kinds:
            raise wrong_type(path, expected, value)
        require(value in shape.values, path, expected, value)

    return check


SCALARS: dict[type[shapes.Type], Callable[[Any], Check]] = {
    shapes.AnyType: _any,
    shapes.NoneType: _null,
    shapes.BoolType: _bool,
    shapes.StrType: _str,
    shapes.IntType: _int,
    shapes.FloatType: _float,
    shapes.LiteralType: _literal,
}
