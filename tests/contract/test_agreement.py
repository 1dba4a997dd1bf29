"""The short cut and the reference agree: what the one accepts, the other accepts to the same event; neither raises."""

import json
from random import Random
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from contract import strict
from contract.constraints import IpAddress, Page
from contract.decoder import Decoder, fast_path
from contract.model import Event, Rejection
from contract.types import Payload
from orchestration.generate import slow_types
from tests.contract.cases import SIMPLE
from tests.contract.making import CONTRACT, DECODER, NOW_US, anything, events, spoil, storable, write

FAST = fast_path(CONTRACT, DECODER.limits)
seeds = st.integers(0, 2**32)
styles = st.sampled_from(["compact", "wild"])


def agree(value: bytes, decoder: Decoder = DECODER) -> Event | Rejection:
    """Decide by both ways and hold them together; also what must be true of any answer."""
    exact = strict.decode(value, NOW_US, decoder.contract, decoder.limits)
    quick = (
        fast_path(decoder.contract, decoder.limits)(value, NOW_US) if decoder is not DECODER else FAST(value, NOW_US)
    )
    assert quick is None or quick == exact, (value, quick, exact)
    assert decoder.decode(value, NOW_US) == exact
    if isinstance(exact, Rejection):
        assert exact.reason.isprintable()
        assert 0 < len(exact.reason.encode()) <= 2000
    return exact


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(value: bytes):
    assert isinstance(agree(value), Rejection)


@given(anything)
def test_any_json_gets_an_answer(value: Any):
    agree(write(value, Random(0)).encode("utf-8", "surrogatepass"))


@given(events(), st.data(), anything)
def test_any_json_in_place_of_any_part_gets_an_answer(event: dict[str, Any], data: st.DataObject, value: Any):
    target = data.draw(st.sampled_from([event, event["payload"]]))
    target[data.draw(st.sampled_from(sorted(target)))] = value
    agree(write(event, Random(0)).encode("utf-8", "surrogatepass"))


@given(events(), seeds, styles)
def test_spoilt_events_get_the_same_answer_from_both(event: dict[str, Any], seed: int, style: str):
    rng = Random(seed)
    value = write(event, rng, style).encode()
    for _ in range(20):
        agree(spoil(value, rng))


@given(events(extras=False), seeds)
def test_a_key_that_is_repeated_anywhere_is_found_by_both(event: dict[str, Any], seed: int):
    rng = Random(seed)
    text = write(event, rng, rng.choice(["compact", "wild"]))
    places = [at for at, character in enumerate(text) if character == "{"]
    # In front of some member of some object, that member once more: the object then has the key twice.
    at = rng.choice(places) + 1
    again = text[at:].lstrip(" \t\n\r")
    if not again.startswith('"'):
        return
    for topic_partition in (at, rng.choice(places) + 1):
        spoilt = text[:topic_partition] + '"twice":0,"twice":{"a":1},' + text[topic_partition:]
        found = agree(spoilt.replace(",}", "}").encode())
        assert isinstance(found, Rejection)
        assert found.code in ("invalid_value", "not_json")


class Everything(Payload):
    """A type that uses each kind of annotation that the contract knows."""

    count: Annotated[int, Meta(ge=0, lt=100)]
    price: float
    sure: bool
    plan: Literal["free", "pro"]
    tags: Annotated[list[Annotated[str, Meta(max_length=5)]], Meta(max_length=3)] | UnsetType = UNSET
    weights: dict[str, float] | None = None
    either: int | str | None = None
    extra: Any = None


class Item(msgspec.Struct):
    """What a list may hold."""

    page: Page
    ip: IpAddress | None = None


class Nested(Payload):
    """A type with constraints of our own inside lists, objects and structs."""

    pages: list[Page]
    inner: Everything | UnsetType = UNSET
    items: list[Item] | None = None
    by_name: dict[str, Page | int] | UnsetType = UNSET


class Place(msgspec.Struct):
    """What stands in a list."""

    page: Page
    weight: Annotated[int, Meta(gt=0, le=3)]


class Numbers(Payload):
    """A flat type with numbers and a default that hides absence."""

    big: int
    small: Annotated[float, Meta(gt=-1, le=1e10)]
    note: str | None = None


class Bounds(Payload):
    """A type with all that bounds can be."""

    places: list[Place]
    code: Annotated[str, Meta(pattern="^[0-9]{4}$", examples=["1234"])]
    share: Annotated[float, Meta(gt=0, lt=1, examples=[0.5])]
    address: IpAddress | UnsetType = UNSET


LARGER = Decoder(CONTRACT.with_types(Everything, Nested, Numbers, Bounds))
_names = [field.name for name in ("everything", "nested", "numbers") for field in LARGER.contract[name].fields]


@given(events(contract=LARGER.contract), seeds, styles)
def test_an_event_of_any_type_is_made_as_the_annotations_allow(event: dict[str, Any], seed: int, style: str):
    assert isinstance(agree(write(event, Random(seed), style).encode(), LARGER), Event)


@pytest.mark.parametrize("name", ["everything", "nested", "numbers"])
@given(data=st.data())
def test_types_added_at_run_time_are_decided_alike(name: str, data: st.DataObject):
    event = LARGER.contract[name].example()
    assert isinstance(agree(write(event, Random(0)).encode(), LARGER), Event)
    values = storable | st.sampled_from([0, 1, 99, 100, -1, 1.0, "free", ["a"], ["a" * 6], {"a": 1.5}, None, True, ""])
    event["payload"] |= data.draw(st.dictionaries(st.sampled_from(_names), values, max_size=3))
    rng = Random(data.draw(seeds))
    text = write(event, rng, data.draw(styles)).encode()
    agree(text, LARGER)
    for _ in range(5):
        agree(spoil(text, rng), LARGER)


@pytest.mark.parametrize(
    ("payload", "is_event"),
    [
        ({}, True),
        ({"pages": ["ü" * 1000]}, True),
        ({"pages": ["/", "ü" * 1001]}, False),
        ({"items": [{"page": "ü" * 1000, "ip": "::1"}]}, True),
        ({"items": [{"page": "/"}, {"page": "ü" * 1001}]}, False),
        ({"items": [{"page": "/", "ip": "no address"}]}, False),
        ({"byName": {"a": "ü" * 1000, "b": 7}}, True),
        ({"byName": {"a": "ü" * 1001}}, False),
        ({"inner": {"userId": "ü" * 101, "count": 1, "price": 1.5, "sure": True, "plan": "free"}}, False),
    ],
)
def test_bounds_inside_lists_objects_and_structs_are_held_by_the_short_cut(
    payload: dict[str, Any], is_event: bool
) -> None:
    event = LARGER.contract["nested"].example()
    event["payload"] |= payload
    value = json.dumps(event, ensure_ascii=False).encode()
    assert isinstance(agree(value, LARGER), Event) == is_event
    quick = fast_path(LARGER.contract, LARGER.limits)(value, NOW_US)
    assert (quick is not None) == is_event


def test_a_type_without_a_short_cut_is_named_with_the_reason() -> None:
    [line] = slow_types(LARGER.contract)
    assert line.startswith("bounds: ")
    assert "code has a pattern with a $" in line


def _variants(name: str) -> list[dict[str, Any]]:
    """The example of a type, whole, and with each optional field missing or null."""
    made = [LARGER.contract[name].example()]
    for field in LARGER.contract[name].fields:
        if not field.required:
            made.append(LARGER.contract[name].example())
            del made[-1]["payload"][field.name]
        if field.nullable:
            made.append(LARGER.contract[name].example())
            made[-1]["payload"][field.name] = None
    return made


@pytest.mark.parametrize("name", list(LARGER.contract))
def test_no_key_can_be_there_twice_whatever_is_missing_or_null(name: str):
    for event in _variants(name):
        assert isinstance(agree(json.dumps(event).encode(), LARGER), Event)
        for repeated in (*event["payload"], *event):
            text = json.dumps(event)
            for again in ("null", "0", '""', "{}", json.dumps((event | event["payload"])[repeated])):
                for twice in (
                    f'"{repeated}":{again},"{repeated}":',
                    f'"{repeated}":null,"{repeated}":{again},"{repeated}":',
                ):
                    found = agree(text.replace(f'"{repeated}":', twice, 1).encode(), LARGER)
                    assert isinstance(found, Rejection)
                    assert found.code == "invalid_value"


def test_constraints_inside_lists_hold_as_well():
    event = LARGER.contract["nested"].example()
    event["payload"]["pages"] = ["é" * 1000]
    assert isinstance(agree(write(event, Random(0)).encode(), LARGER), Event)
    event["payload"]["pages"] = ["é" * 1001]
    found = agree(write(event, Random(0)).encode(), LARGER)
    assert isinstance(found, Rejection)
    assert found.reason.startswith("$.payload.pages[0]: expected at most 2000 bytes of UTF-8, found 2002 bytes")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("u123", "Gr\u00fc\u00dfe 😀"), ("u123", r"Gr\u00fc\u00dfe \ud83d\ude00"), ("u123", r"a\"b\\"), ('"userId"',
        r'"x":"\/","userId"'),
        ('"userId"', '"x":[1,-2.5,{"y":1e5,"z":[]}],"userId"'), ('"type"', '"source":{"name":"web"},"type"'),
        ('"type"', ' "type"'),
        ("a1b2c3", "0190163D-8694-739B-AEA5-966C26F8AD91"), ("00Z", "00.123456+02:00"), ("00Z", "00.123456789Z"),
        (":", " : "),
    ],
)  # fmt: skip
def test_what_is_usual_elsewhere_takes_the_short_cut_too(old: str, new: str):
    value = SIMPLE.replace(old, new) if old != ":" else json.dumps(json.loads(SIMPLE), separators=(" , ", " : "))
    assert isinstance(agree(value.encode()), Event)
    assert FAST(value.encode(), NOW_US) is not None
