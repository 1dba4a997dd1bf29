"""A pattern of the contract means in every decoder, and in the schema, what JSON Schema means by it."""

import json
import re
from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import Meta

from contract.contract import Contract
from contract.decoder import Decoder, Event
from contract.scalars import strict_end
from contract.schema import schema_of
from contract.types import Payload


class Coupon(Payload):
    """A type with patterns in every place."""

    code: Annotated[str, Meta(pattern="^[0-9]{4}$", examples=["1234"])]
    more: Annotated[list[Annotated[str, Meta(pattern="^[a-z]+$")]], Meta(examples=[["a"]])]
    pattern: Annotated[str, Meta(pattern=r"^[$]\$$", examples=["$$"])]


CONTRACT = Contract([Coupon])
GOOD: dict[str, Any] = {"userId": "u", "code": "1234", "more": ["a"], "pattern": "$$"}


def accepted(changed: dict[str, Any]) -> tuple[bool, bool]:
    """By the decoder, and by the schema."""
    made = CONTRACT["coupon"].example()
    made["payload"] = {**GOOD, **changed}
    by_schema = Draft202012Validator(schema_of(CONTRACT["coupon"])).is_valid(made)
    return isinstance(Decoder(CONTRACT).decode(json.dumps(made).encode(), 1 << 62), Event), by_schema


def test_what_matches_is_accepted() -> None:
    assert accepted({}) == (True, True)


@pytest.mark.parametrize("changed", [{"code": "1234\n"}, {"more": ["a", "b\n"]}, {"pattern": "$$\n"}, {"code": "x"}])
def test_a_last_line_break_does_not_match(changed: dict[str, Any]) -> None:
    assert accepted(changed) == (False, False)


@pytest.mark.parametrize("pattern", ["^a$", "a\\$", "[$]a$", "[^]$]x$", "^(a|b$)$", "$(?!\\n)", "[\\]$]$", ""])
def test_only_a_dollar_that_means_the_end_is_made_strict(pattern: str) -> None:
    made = strict_end(pattern)
    assert re.compile(made)
    assert strict_end(made) == made
    assert made.replace("(?!\\n)", "") == pattern.replace("(?!\\n)", "")
