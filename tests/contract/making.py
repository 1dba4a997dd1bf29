"""Events and JSON for the tests: made at random, written in every way that JSON allows, and spoilt."""

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from math import ceil, floor
from random import Random
from typing import Any

import msgspec.inspect as shapes
from hypothesis import strategies as st

from contract.contract import Contract
from contract.decoder import Decoder, Event, Rejection
from contract.scalars import strict_end
from contract.types import Payload

NOW_US = 1_750_000_000_000_000  # 2025-06-15
CONTRACT = Contract()
DECODER = Decoder(CONTRACT)

# What PostgreSQL can store: everything but surrogates and U+0000.
characters = st.characters(exclude_categories=("Cs",), exclude_characters="\x00")
numbers = st.one_of(
    st.integers(),
    st.integers(-(10**399), 10**399),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: Decimal(repr(number))),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=20),
)
storable = st.recursive(
    st.none() | st.booleans() | numbers | st.text(characters, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(characters, max_size=8), inner, max_size=4),
    max_leaves=12,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


_SOME = 40
"""So much longer than it must be a text may become, and so much is enough to find what length does."""


def allowed(shape: shapes.Type) -> st.SearchStrategy[Any]:
    """What an annotation of the contract allows, so that a new type is made here without being taught."""
    match shape:
        case shapes.Metadata(extra={"format": _}):
            return st.ip_addresses().map(str)
        case shapes.Metadata(type=inner, extra={"max_bytes": int(most)}):
            return allowed(inner).filter(lambda text: len(str(text).encode()) <= most)
        case shapes.Metadata(type=inner):
            return allowed(inner)
        case shapes.UnionType(types=alternatives):
            return st.one_of(*map(allowed, alternatives))
        case shapes.ListType(item_type=item, min_length=least, max_length=most):
            return st.lists(allowed(item), min_size=least or 0, max_size=_longest(least, most, 4))
        case shapes.DictType(value_type=value, min_length=least, max_length=most):
            keys = st.text(characters, max_size=8)
            return st.dictionaries(keys, allowed(value), min_size=least or 0, max_size=_longest(least, most, 4))
        case shapes.StructType(fields=fields):
            required = {field.encode_name: allowed(field.type) for field in fields if field.required}
            optional = {field.encode_name: allowed(field.type) for field in fields if not field.required}
            return st.fixed_dictionaries(required, optional=optional)
        case _:
            return _allowed_scalar(shape)


def _allowed_scalar(shape: shapes.Type) -> st.SearchStrategy[Any]:
    match shape:
        case shapes.StrType(pattern=str(pattern)):
            return st.from_regex(strict_end(pattern), alphabet=characters)
        case shapes.StrType(min_length=least, max_length=most):
            return st.text(characters, min_size=least or 0, max_size=_longest(least, most, _SOME))
        case shapes.IntType() | shapes.FloatType():
            return _numbers(shape)
        case shapes.LiteralType(values=values):
            return st.sampled_from(values)
        case shapes.BoolType():
            return st.booleans()
        case shapes.NoneType():
            return st.none()
        case _:
            return storable


def _longest(least: int | None, most: int | None, more: int) -> int:
    return min((least or 0) + more, most if most is not None else sys.maxsize)


def _numbers(shape: shapes.IntType | shapes.FloatType) -> st.SearchStrategy[Any]:
    """Whole numbers and, where they may be, others; at the bounds as well."""
    bounds = (shape.ge, shape.gt, shape.le, shape.lt)
    ge, gt, le, lt = (None if bound is None else Decimal(str(bound)) for bound in bounds)
    low = max((bound for bound in (ge, gt) if bound is not None), default=-Decimal(10**300))
    high = min((bound for bound in (le, lt) if bound is not None), default=Decimal(10**300))
    first, last = ceil(low) + (low == gt and low == ceil(low)), floor(high) - (high == lt and high == floor(high))
    whole = [st.integers(first, last)] if first <= last else []
    if isinstance(shape, shapes.IntType):
        return whole[0]
    doubles = st.floats(float(low), float(high), exclude_min=low == gt, exclude_max=high == lt)
    return st.one_of(*whole, doubles.map(repr).map(Decimal))


@cache
def payloads(struct: type[Payload]) -> st.SearchStrategy[dict[str, Any]]:
    """Payloads of a type."""
    return allowed(shapes.type_info(struct))


_names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200)
_ids = st.uuids().map(str) | st.uuids().map(lambda uuid: uuid.hex.upper()) | _names
_timestamps = st.datetimes().map(lambda moment: moment.replace(year=min(moment.year, 2024)).isoformat() + "Z")


@st.composite
def events(draw: st.DrawFn, extras: bool = True, contract: Contract = CONTRACT) -> dict[str, Any]:
    """A valid event: any type, arbitrary text and JSON, with fields that the contract does not know."""
    name = draw(st.sampled_from(sorted(contract)))
    payload = draw(payloads(contract[name].struct))
    event: dict[str, Any] = {"eventId": draw(_ids), "type": name, "timestamp": draw(_timestamps), "payload": payload}
    if extras and draw(st.booleans()):
        known = {field.name for field in contract[name].fields}
        unknown = st.text(characters, max_size=8).filter(lambda key: key not in known)
        event["payload"] = payload | draw(st.dictionaries(unknown, storable, max_size=3))
    if extras and draw(st.booleans()):
        event["x" + draw(st.text(characters, max_size=3))] = draw(storable)
    return event


def write(value: Any, rng: Random, style: str = "compact") -> str:
    """JSON text of a value. Style `wild` varies white space, escapes, the order of keys and how numbers look."""
    if isinstance(value, dict):
        members = list(value.items())
        if style == "wild":
            rng.shuffle(members)
        inner = [write(key, rng, style) + _gap(rng, style) + ":" + _written(each, rng, style) for key, each in members]
        return "{" + (",".join(_gap(rng, style) + each for each in inner) or _gap(rng, style)) + "}"
    if isinstance(value, list):
        return "[" + (",".join(_written(each, rng, style) for each in value) or _gap(rng, style)) + "]"
    if isinstance(value, str):
        return '"' + "".join(_character(each, rng, style) for each in value) + '"'
    if isinstance(value, Decimal):
        return str(value) if style == "compact" or rng.random() < 0.5 else _plain_number(value)
    return json.dumps(value)


def _written(value: Any, rng: Random, style: str) -> str:
    return _gap(rng, style) + write(value, rng, style) + _gap(rng, style)


def _plain_number(value: Decimal) -> str:
    text = f"{value:f}"
    return text if len(text) < 390 else str(value)


def _gap(rng: Random, style: str) -> str:
    return "".join(rng.choices(" \t\n\r", k=rng.choice((0, 0, 0, 1, 2)))) if style == "wild" else ""


def _character(character: str, rng: Random, style: str) -> str:
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f", "/": "\\/"}
    must = character in '"\\' or character < " "
    if not must and (style == "compact" or rng.random() < 0.8):
        return character
    if character in short and rng.random() < 0.7:
        return short[character]
    units = character.encode("utf-16-be", "surrogatepass")
    code = "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
    return code if rng.random() < 0.5 else code.upper().replace("\\U", "\\u")


def read(text: bytes) -> Any:
    """JSON as PostgreSQL compares it: numbers as decimals."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON: unlike in Python, true is no number."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def decode(value: bytes | str, decoder: Decoder = DECODER) -> Event | Rejection:
    """Decode with the usual decoder at the usual time."""
    return decoder.decode(value.encode() if isinstance(value, str) else value, NOW_US)


Spoiler = Callable[[bytes, Random], bytes]
_PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\x00", b"\x1f", b"\x7f", b"\xff", b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\\u0000", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"\\u0061", b'\\"', b"\\\\", b"0", b"1e400", b"1e-400",
    b"-", b"1.", b"01",
    b"1e99999999999", b"9" * 401, b"0." + b"0" * 330 + b"1", b"NaN", b"null", b"true", b'"a":1,', b'"a":1,"a":2,',
    b'"":0,', b'"type":"login",',
    b'"payload":{},', b'"userId":"x",', b'"\\u0061":1,"a":1,', b'"a" :1,', b'":":1,', b'"ip":null,', b'"page":null,',
    b'"device":null,',
    "é".encode(), "😀".encode(), "٣".encode(), "\u2028".encode(), b"\xc2\x85", b"e", b"E+1", b"/",
    b"[" * 70 + b"]" * 70,
]  # fmt: skip


def spoil(value: bytes, rng: Random) -> bytes:
    """The value with a few bytes inserted, replaced, removed or repeated."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(value) + 1)
        until = at + rng.choice((0, 0, 1, 1, 2, 8))
        piece = rng.choice(_PIECES) if rng.random() < 0.8 else value[at : at + rng.randrange(40)]
        value = value[:at] + piece + value[until:]
    return value
