"""`millrace validate`: which events a file holds, and that each is decided as the pipeline decides it."""

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from contract.contract import Contract
from contract.decoder import Rejection, RejectionCode
from orchestration.cli.validate import validate
from orchestration.settings import SettingsError
from producer.event_file import values
from tests.contract import fuzz
from tests.contract.cases import CASES
from tests.contract.making import DECODER, NOW_US

Run = Callable[..., Result]
GOOD = [each.example() for each in Contract().values()]
LINES = "\n".join(map(json.dumps, GOOD))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, in an environment without any setting."""
    for name in ("POSTGRES_URL", "REDIS_URL", "BROKER_URL", "KAFKA_BOOTSTRAP_SERVERS", "MAX_VALUE_BYTES"):
        monkeypatch.delenv(f"MILLRACE_{name}", raising=False)

    def invoke(given: str | bytes, *arguments: str, **variables: str) -> Result:
        return CliRunner().invoke(validate, [*arguments, "-"], input=given, env=variables)

    return invoke


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        LINES.replace("\n", "\r\n\r\n") + "\n",
        json.dumps(GOOD),
        json.dumps(GOOD, indent=2),
        "\n\n [" + ",\n".join(map(json.dumps, GOOD)) + "\n]\n",
    ],
    ids=["lines", "lines of Windows", "an array", "an array over lines", "an event on each line of an array"],
)
def test_a_file_has_an_event_on_each_line_or_is_an_array(run: Run, text: str):
    assert [json.loads(each.data) for each in values(text.encode())] == GOOD
    done = run(text)
    assert (done.exit_code, done.output) == (0, f"{len(GOOD)} valid, 0 refused\n")


def test_a_file_may_be_one_event_over_several_lines(run: Run):
    assert run(json.dumps(GOOD[0], indent=4)).output == "1 valid, 0 refused\n"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{"a":\n1}\n', [1]),
        ('{"a":1}\n\n{"b":2}\n[3]\n', [1, 3, 4]),
        ('[\n {"a":1},\n\n {"b":\n2}, 7]', [2, 4, 5]),
        ('{"a":1\n "b":2}', [1]),
        ("[\n1,\n]", [1]),
        ('\n{"a":\n{"b":2}\n', [2, 3]),
        ("{\n\n}\n", [1]),
        ("[]", []),
        ("\n \t\r\n", []),
    ],
)
def test_each_value_is_told_by_the_line_on_which_it_begins(text: str, lines: list[int]):
    assert [each.line for each in values(text.encode())] == lines
    assert [each.number for each in values(text.encode())] == list(range(1, len(lines) + 1))


def test_elements_of_an_array_keep_their_bytes():
    text = '[{"n":1e100000,"n":-0},"\\ud800", ' + "9" * 5_000 + ", NaN]"
    assert [each.data.decode() for each in values(text.encode())] == [
        '{"n":1e100000,"n":-0}',
        '"\\ud800"',
        "9" * 5_000,
        "NaN",
    ]


def test_every_hostile_value_is_refused_with_the_pipelines_code_and_reason(run: Run):
    hostile = [v if isinstance(v, bytes) else v.encode() for case in CASES.values() for v in case]
    lines = [v for v in hostile if v.strip(b" \t\r\n") and b"\n" not in v and len(v) < 2_000]
    done = run(json.dumps(GOOD[0]).encode() + b"\n" + b"\n".join(lines), "--json", MILLRACE_MIN_TIMESTAMP="off")
    found = json.loads(done.stdout)
    refused = {each["number"]: (each["code"], each["reason"]) for each in found["refused"]}
    assert done.exit_code == 1
    assert (found["events"], found["valid"]) == (len(lines) + 1, len(lines) + 1 - len(refused))
    for number, value in enumerate(lines, 2):
        expected = DECODER.decode(value.strip(b" \t\r"), NOW_US)
        if isinstance(expected, Rejection) and expected.code is not RejectionCode.TIMESTAMP_IN_FUTURE:  # another clock
            assert refused[number] == (expected.code.value, expected.reason), value


def test_a_refusal_names_file_line_code_and_reason_on_one_line(run: Run):
    bad = {**GOOD[0], "type": "pur\u2028chase\x1b[2J", "eventId": "id-of-the-bad-one"}
    text = "\n".join(map(json.dumps, [GOOD[0], bad, GOOD[1]]))
    done = run(text)
    first, last = done.output.splitlines()
    assert first.startswith("standard input:2: event 2: unknown_type $.type: expected one of login")
    assert first.isprintable()
    assert last == "2 valid, 1 refused"
    [refused] = json.loads(run(text, "--json").stdout)["refused"]
    assert (refused["path"], refused["event_id"], refused["line"]) == ("$.type", "id-of-the-bad-one", 2)


def test_with_a_type_every_event_is_to_be_of_it(run: Run):
    done = run(LINES, "--type", "login", "--type", "logout", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["valid"]) == (1, 2)
    assert {each["code"] for each in found["refused"]} == {"unknown_type"}
    assert '$.type: expected one of login, logout, found "page_view"' in {each["reason"] for each in found["refused"]}
    assert "is not one of" in run(LINES, "--type", "purchase").output


def test_limits_are_the_pipelines_own_by_default_and_those_of_the_settings_where_they_are_set(run: Run):
    old = json.dumps({**GOOD[0], "timestamp": "1999-12-31T00:00:00Z"})
    assert "timestamp_too_old" in run(old).output
    assert run(old, MILLRACE_MIN_TIMESTAMP="off").exit_code == 0
    assert "too_large" in run(json.dumps({**GOOD[0], "more": "x" * 2_000}), MILLRACE_MAX_VALUE_BYTES="1024").output
    assert isinstance(run(old, MILLRACE_MAX_VALUE_BYTES="much").exception, SettingsError)


def test_a_file_without_an_event_proves_nothing_and_is_an_error(run: Run):
    for nothing in ("", "\n\n", "[]"):
        done = run(nothing)
        assert (done.exit_code, done.output) == (2, "standard input holds no event\n")
    assert CliRunner().invoke(validate, ["/nowhere/events.jsonl"]).exit_code == 2


def test_the_declared_place_ends_before_what_a_producer_has_named():
    place = re.compile(Contract().declared_place)
    begins: dict[str, Any] = {
        '$.payload.fields["ann@example.org"][3]: expected text, found 1': "$.payload.fields",
        "$.payload.page: expected at least 1 character": "$.payload.page",
        "$.payload.pageOfAnn: expected": "$.payload",
        "$.ann: expected every key once": "$",
        "$: expected a JSON document": "$",
        "another event with this id is stored": None,
        "$.payload.fields…": "$.payload",
    }
    for reason, expected in begins.items():
        match = place.match(reason)
        assert (match[0] if match else None) == expected, reason


def test_whatever_the_bytes_of_a_file_it_is_split_and_decided(run: Run):
    rng = Random(20261128)
    made = fuzz.values(rng)
    for _ in range(300):
        file = rng.choice([b"\n", b",\n", b",", b""]).join(next(made) for _ in range(rng.randint(0, 4)))
        whole = rng.choice([file, b"[" + file + b"]"])
        done = run(whole, "--json")
        assert done.exit_code in (0, 1, 2), (whole, done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), whole
