"""Words for people: how a refusal names a place and shows what was found there.

What belongs here: turning anything into short, printable text that PostgreSQL can store. What does not: deciding
what is refused.
"""

import re
from collections.abc import Sequence

from contract.codes import RejectionCode
from contract.shown import on_a_line

MAX_REASON = 500
MAX_PATH = 200
MAX_SHOWN = 60
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")


class InvalidEvent(Exception):
    """Raised inside this package where a value turns out to be no event; never leaves it."""

    def __init__(self, code: RejectionCode, path: str, expected: str, found: str) -> None:
        super().__init__(code, path, expected, found)
        self.code = code
        self.path = path
        self.expected = expected
        self.found = found

    @property
    def reason(self) -> str:
        """One line: where, what was expected, what was found."""
        return _cut(f"{_middle_cut(self.path)}: expected {self.expected}, found {self.found}", MAX_REASON)


def show(value: object) -> str:
    """A JSON value in a few printable characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f'"{printable(value)}"'
    if isinstance(value, dict):
        return "an object"
    return "an array" if isinstance(value, list) else f"the number {printable(str(value))}"


def printable(text: str) -> str:
    """Text shortened to `MAX_SHOWN` characters, with everything that does not print (or store) escaped."""
    return _cut(on_a_line(text[: MAX_SHOWN + 1]), MAX_SHOWN)


def path_of(steps: Sequence[str | int], start: str = "$") -> str:
    """A JSON path such as `$.payload.fields["first name"][3]`."""
    return start + "".join(map(_step, steps))


def join(path: str, step: str | int) -> str:
    """The path one step further in."""
    return path + _step(step)


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f'["{printable(step)}"]'


def _middle_cut(path: str) -> str:
    return path if len(path) <= MAX_PATH else f"{path[: MAX_PATH // 2]}…{path[-(MAX_PATH // 2) :]}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
