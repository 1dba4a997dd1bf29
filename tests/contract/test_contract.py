"""The contract: its types, what follows from their structs, and its schemas."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import Meta

from contract.codes import RejectionCode
from contract.contract import Contract
from contract.decoder import Decoder, Event, Rejection
from contract.schema import render, schema_of, write_schemas
from contract.types import Payload
from tests.contract.cases import CASES
from tests.contract.making import CONTRACT, NOW_US, decode

SCHEMAS = Path(__file__).parents[2] / "schemas"
VALIDATORS = {
    name: Draft202012Validator(schema_of(each), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for name, each in CONTRACT.items()
}


class NewThing(Payload):
    """A user has bought something."""

    order_id: str
    amount: Annotated[float, Meta(gt=0)]


class Untyped(Payload):
    """A type with a field that nobody can check."""

    when: Annotated[set[str], Meta(min_length=1)]


class Unlikely(Payload):
    """A type whose example has to be given."""

    code: Annotated[str, Meta(pattern="^[0-9]{4}$")]


class Anonymous(Payload):
    """A type without a user."""

    user_id: str | None = None  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]


FIRST = {
    "login": ["userId", "ip", "device"],
    "logout": ["userId", "duration", "ip"],
    "page_view": ["userId", "page", "referrer", "device"],
    "button_click": ["userId", "buttonId", "page"],
    "form_submit": ["userId", "formId", "fields"],
}


def test_the_types_that_producers_have_sent_from_the_first_have_their_fields():
    assert {name: [field.name for field in CONTRACT[name].fields] for name in FIRST} == FIRST


@pytest.mark.parametrize("name", list(CONTRACT))
def test_every_type_and_every_field_says_what_it_is(name: str):
    assert CONTRACT[name].description
    assert all(field.description and field.example not in (None, "example") for field in CONTRACT[name].fields)


@pytest.mark.parametrize("name", list(CONTRACT))
def test_the_example_of_each_type_is_an_event(name: str):
    found = decode(json.dumps(CONTRACT[name].example()))
    assert isinstance(found, Event), found
    assert found.type == name


def test_fields_tell_their_kind_and_whether_they_may_be_absent():
    fields = {field.name: field for name in FIRST for field in CONTRACT[name].fields}
    kinds = {name: field.kind for name, field in fields.items() if field.kind != "text"}
    assert kinds == {"duration": "number", "fields": "json"}
    assert {name for name, field in fields.items() if not field.required} == {"referrer", "device"}
    assert {name for name, field in fields.items() if field.nullable} == {"referrer", "device"}


def test_a_struct_is_all_it_takes_to_add_a_type():
    larger = CONTRACT.with_types(NewThing)
    assert larger["new_thing"].example()["payload"] == {"userId": "u123", "orderId": "example", "amount": 1.0}
    decoder = Decoder(larger)
    found = decoder.decode(json.dumps(larger["new_thing"].example()).encode(), NOW_US)
    assert isinstance(found, Event)
    assert found.type == "new_thing"
    free = larger["new_thing"].example()
    free["payload"]["amount"] = 0
    refused = decoder.decode(json.dumps(free).encode(), NOW_US)
    assert refused == Rejection(
        RejectionCode.INVALID_VALUE, "$.payload.amount: expected a number > 0, found the number 0"
    )
    assert schema_of(larger["new_thing"])["properties"]["payload"]["required"] == ["userId", "orderId", "amount"]
    assert "new_thing" not in CONTRACT


@pytest.mark.parametrize(("struct", "complaint"), [(Untyped, "cannot check"), (Unlikely, "Unlikely needs examples")])
def test_a_type_that_cannot_be_checked_or_shown_is_refused_at_once(struct: type[Payload], complaint: str):
    with pytest.raises(TypeError, match=complaint):
        CONTRACT.with_types(struct)


def test_every_type_has_a_user():
    with pytest.raises(TypeError, match="userId"):
        Contract([Anonymous])


def test_two_types_cannot_have_one_name():
    with pytest.raises(ValueError, match="same name"):
        CONTRACT.with_types(NewThing, NewThing)


def test_the_codes_are_stable_and_each_has_a_meaning():
    assert sorted(RejectionCode) == sorted(
        [
            "not_json",
            "not_utf8",
            "not_an_object",
            "missing_field",
            "wrong_type",
            "unknown_type",
            "invalid_event_id",
            "invalid_timestamp",
            "timestamp_in_future",
            "invalid_value",
            "too_large",
            "too_deep",
            "unstorable_text",
            "event_id_conflict",
            "storage_rejected",
            "timestamp_too_old",
        ]
    )
    assert all(re.fullmatch(r"[A-Z].{20,110}\.", code.meaning) for code in RejectionCode)
    assert RejectionCode("not_json") is RejectionCode.NOT_JSON


def test_the_schema_files_are_current():
    files = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*")}
    assert files == {f"{name}.schema.json": render(each) for name, each in CONTRACT.items()}, (
        "run: .venv/bin/python -m contract.schema schemas/"
    )


def test_writing_schemas_removes_those_of_types_that_are_gone(tmp_path: Path):
    write_schemas(tmp_path, CONTRACT.with_types(NewThing))
    (tmp_path / "README.md").write_text("kept")
    assert len(write_schemas(tmp_path)) == len(CONTRACT)
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", *(f"{name}.schema.json" for name in CONTRACT)}


@pytest.mark.parametrize("name", list(CONTRACT))
def test_schemas_are_schemas_and_accept_the_examples(name: str):
    Draft202012Validator.check_schema(schema_of(CONTRACT[name]))
    assert list(VALIDATORS[name].iter_errors(CONTRACT[name].example())) == []
    assert list(VALIDATORS[name].iter_errors(schema_of(CONTRACT[name])["examples"][0])) == []


EXPRESSIBLE = ("missing_field", "wrong_type", "unknown_type", "invalid_event_id", "not_an_object")


@pytest.mark.parametrize("code", EXPRESSIBLE)
def test_schemas_refuse_what_the_decoder_refuses(code: str):
    for value in CASES[code]:
        try:
            event = json.loads(value)
        except UnicodeEncodeError:
            continue
        assert not any(validator.is_valid(event) for validator in VALIDATORS.values()), value


def _changed(name: str, part: str, value: Any) -> dict[str, Any]:
    event = CONTRACT[name].example()
    target = event if part in event else event["payload"]
    target[part] = value
    return event


@pytest.mark.parametrize(
    ("name", "part", "value"),
    [
        *(("login", "userId", value) for value in ("", "u", "é", "x" * 200, "x" * 201, None, 1)),
        *(("login", "device", value) for value in ("", None, "x" * 200, "x" * 201, 1)),
        *(("login", "ip", value) for value in ("::1", "10.0.0.1", "10.0.0.256", "01.0.0.1", "::1%eth0", "", None)),
        *(("logout", "duration", value) for value in (0, -0.0, 1e308, -1, -0.5, True, "1", None)),
        *(("page_view", "page", value) for value in ("", "/", "x" * 2000, "x" * 2001)),
        *(("page_view", "referrer", value) for value in ("", "/", "x" * 2000, "x" * 2001, None, [])),
        *(("form_submit", "fields", value) for value in ({}, {"a": [None]}, [], None, "{}")),
        *(("button_click", "buttonId", value) for value in ("", "x" * 200, "x" * 201)),
        *(("login", "eventId", value) for value in ("a", "", "x" * 200, "x" * 201, "a\n", "\x7f", "\u2028", "é", 1,
        None)),
        *(
            ("login", "timestamp", value)
            for value in (
                "2025-05-18T14:00:00Z", "2025-05-18 14:00z", "2025-05-18t14:00:00,123456789+02",
                "2025-05-18T14:00:00-0230",
                "2025-05-18T14:00:00", "2025-05-18", "2025-05-18T14:00:00Z\n", "2025-05-18T14Z", "now", 1, None,
            )
        ),
        ("login", "unknown", 1),
        ("login", "type", "logout"),
        ("login", "type", "nothing"),
        ("login", "payload", []),
    ],
)  # fmt: skip
def test_schema_and_decoder_agree_where_json_schema_can_say_it(name: str, part: str, value: Any):
    event = _changed(name, part, value)
    found = decode(json.dumps(event))
    assert VALIDATORS[name].is_valid(event) == (isinstance(found, Event) and found.type == name)
