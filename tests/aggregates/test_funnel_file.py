"""A funnel's file that no event could follow is refused when it is read, in one line that says what to do."""

from pathlib import Path

import pytest

from assets.aggregates.funnel_file import FunnelError, read
from orchestration.secret_files import SettingsError
from orchestration.settings import load

STEP = '[[step]]\nname = "a"\ntype = "login"\n'
CASES = {
    "not a number": (STEP + "payload = {x = nan}", "finite"),
    "infinity, deep inside": (STEP + "payload = {x = [1, {y = -inf}]}", "finite"),
    "a huge number": (STEP + "payload = {x = 1e999}", "finite"),
    "a day": (STEP + "payload = {x = 2026-01-31}", "JSON does not have"),
    "a time of day": (STEP + "payload = {x = 12:00:00}", "JSON does not have"),
    "a moment": (STEP + "payload = {x = 2026-01-31T12:00:00Z}", "JSON does not have"),
    "U+0000": (STEP + 'payload = {x = "a\\u0000b"}', "U+0000"),
    "U+0000 in a field": (STEP + 'payload = {"\\u0000" = 1}', "U+0000"),
    "an unknown type": (STEP.replace("login", "new_thing"), "unknown type"),
    "a type that is no text": ('[[step]]\nname = "a"\ntype = 1', "type"),
    "no type": ('[[step]]\nname = "a"', "type"),
    "no name": ('[[step]]\ntype = "login"', "name"),
    "an empty name": ('[[step]]\nname = " "\ntype = "login"', "name"),
    "a name of two lines": ('[[step]]\nname = "a\\nb"\ntype = "login"', "name"),
    "a name twice": (STEP + STEP, "two steps"),
    "a misspelt key": (STEP + "payloads = {}", "payloads"),
    "a payload that is no table": (STEP + "payload = 1", "table"),
    "no steps": ("", "[[step]]"),
    "steps that are none": ("step = [1]", "[[step]]"),
    "one step as a table": ('[step]\nname = "a"\ntype = "login"', "[[step]]"),
    "too many steps": ("".join(STEP.replace('"a"', f'"{n}"') for n in range(21)), "20 steps"),
    "no TOML": ("{", "TOML"),
    "TOML without an end": (STEP + 'payload = {x = "', "TOML"),
    "a key twice": (STEP + 'name = "b"', "TOML"),
    "too deep": (STEP + "payload = {x = " + "[" * 100 + "]" * 100 + "}", "deep"),
    "far too deep": (STEP + "payload = {x = " + "[" * 9_000 + "]" * 9_000 + "}", "TOML"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    text, said = CASES[name]
    file = tmp_path / "funnel.toml"
    file.write_text(text)
    with pytest.raises(FunnelError) as error:
        read(file)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (STEP.encode("utf-8-sig"), "byte order mark"),
        (STEP.encode("utf-16"), "UTF-8"),
        (STEP.replace('"a"', '"\u00e4"').encode("latin-1"), "UTF-8"),
        (STEP.encode() + b"\0", "TOML"),
    ],
)
def test_a_file_that_is_no_utf_8_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "funnel.toml"
    file.write_bytes(content)
    with pytest.raises(FunnelError, match=said):
        read(file)


@pytest.mark.parametrize("path", ["", "missing.toml"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(FunnelError, match="cannot be read"):
        read(tmp_path / path)


def test_a_wrong_file_is_a_wrong_setting_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "funnel.toml"
    file.write_text(STEP.replace("login", "new_thing"))
    with pytest.raises(SettingsError, match=r"MILLRACE_FUNNEL.*unknown type"):
        load({"MILLRACE_FUNNEL": str(file)})


def test_a_definition_is_the_same_for_the_same_steps_alone(tmp_path: Path) -> None:
    file, made = tmp_path / "funnel.toml", set[str]()
    for text in (STEP, STEP + "\n# a comment\npayload = {}", STEP + "payload = {x = 1}", STEP.replace('"a"', '"b"')):
        file.write_text(text)
        made.add(read(file).definition)
    assert len(made) == 3
