"""A list of users' ids: who is on it is erased, and nobody else."""

import json

import click
import pytest

from orchestration.cli.ids import given, read


def users(data: bytes, *, json_strings: bool = False) -> list[str]:
    return [each.user for each in read(data, json_strings=json_strings)]


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", " ", "\r", "é"])
def test_no_character_but_a_line_feed_ends_an_id(inside: str) -> None:
    one = f"ann{inside}ben"
    assert users(f"{one}\nother\n".encode()) == [one, "other"]


def test_spaces_around_an_id_belong_to_it() -> None:
    assert users(b" a \n\ta\n") == [" a ", "\ta"]


def test_a_byte_order_mark_belongs_to_nobody() -> None:
    assert users(b"\xef\xbb\xbfann\nben") == ["ann", "ben"]


def test_a_list_from_windows_is_read_and_a_mixed_one_is_refused() -> None:
    assert users(b"\xef\xbb\xbfann\r\n\r\nben\r\n") == ["ann", "ben"]
    assert users(b"ann\r\nben") == ["ann", "ben"]
    for mixed in (b"ann\nben\r\n", b"ann\r\nben\n", b"ann\r"):
        with pytest.raises(click.UsageError, match="carriage return"):
            users(mixed)


def test_each_id_once_with_its_first_line() -> None:
    assert read(b"\nann\n\nben\nann\n") == [(2, "ann"), (4, "ben")]


@pytest.mark.parametrize("bad", [b"\xff", b"caf\xe9", "ann".encode("utf-16"), b"\xed\xa0\x80"])
def test_what_is_no_utf8_is_refused_by_its_line(bad: bytes) -> None:
    with pytest.raises(click.UsageError, match="line 2 of the list"):
        users(b"ann\n" + bad)


@pytest.mark.parametrize("one", ["a\nb", "a\r\nb", "a\r", '"quoted"', "\u2028", "a\\b"])
def test_a_json_string_holds_any_id(one: str) -> None:
    assert users(f"{json.dumps(one)}\nplain\n".encode(), json_strings=True) == [one, "plain"]
    assert users(f"{json.dumps(one, ensure_ascii=False)}\n".encode(), json_strings=True) == [one]


@pytest.mark.parametrize("bad", ['"open', '"a" "b"', '""', '"\\ud800"', '"\\u0000"'])
def test_a_line_that_is_no_json_string_of_an_id_is_refused(bad: str) -> None:
    with pytest.raises(click.UsageError, match="line 1 of the list"):
        users(bad.encode(), json_strings=True)


def test_without_json_a_quotation_mark_belongs_to_the_id() -> None:
    assert users(b'"ann"\n') == ['"ann"']


def test_the_id_of_the_command_line_is_taken_as_it_is() -> None:
    assert [each.user for each in given(" a\n")] == [" a\n"]
    assert given("") == []
    with pytest.raises(click.UsageError, match="UTF-8"):
        given("a\udcff")
