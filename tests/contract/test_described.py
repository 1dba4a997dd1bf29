"""What a type's fields may hold, in words."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contract.constraints import IpAddress, text
from contract.contract import Contract, EventType
from contract.described import described
from contract.types import Payload


class Item(msgspec.Struct):
    """What stands in a list."""

    sku: Annotated[str, text("Which product.", "shoe-42", max_bytes=64)]
    count: Annotated[int, Meta(gt=0, le=1000, description="How many.")]


class Described(Payload):
    """A type with all that bounds can be."""

    items: Annotated[list[Item], Meta(min_length=1, max_length=50, description="What was bought.")]
    tags: list[Annotated[str, Meta(max_length=5)]] | None = None
    plan: Literal["free", "pro"] | UnsetType = UNSET
    code: Annotated[str, Meta(pattern="^[0-9]{4}$", examples=["1234"])] = "0000"
    extra: dict[str, Any] | UnsetType = UNSET
    ip: IpAddress | UnsetType = UNSET


def test_bounds_patterns_and_the_fields_of_items_are_told_in_words():
    found = {f.name: (f.kind, f.required, f.nullable, f.bounds, f.meaning) for f in described(_event_type(Described))}
    assert found == {
        "userId": ("text", True, False, "1 to 200 bytes of UTF-8", "Who did it."),
        "items": ("list", True, False, "1 to 50 items", "What was bought."),
        "items[].sku": ("text", True, False, "1 to 64 bytes of UTF-8", "Which product."),
        "items[].count": ("integer", True, False, "> 0, ≤ 1,000", "How many."),
        "tags": ("list", False, True, "", ""),
        "tags[]": ("text", True, False, "at most 5 characters", ""),
        "plan": ("text", False, False, "one of `free`, `pro`", ""),
        "code": ("text", False, False, "matches `^[0-9]{4}$`", ""),
        "extra": ("object", False, False, "", ""),
        "ip": ("text", False, False, "an IPv4 or IPv6 address", "The client's IPv4 or IPv6 address, without zone id."),
    }


def _event_type(struct: type[Payload]) -> EventType:
    [made] = Contract([struct]).values()
    return made
