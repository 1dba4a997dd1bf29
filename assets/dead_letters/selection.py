"""Which dead letters are meant: by number, or by code, topic and time.

What belongs here: the choice, and walking through the chosen dead letters page by page. What does not: what is done to
them.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assets.dead_letters.sql import statement
from resources.postgres import Connection

OPEN = ("open",)
STATUSES = ("open", "resolved", "discarded")


class UnknownDeadLetters(Exception):
    """Some of the named dead letters do not exist; its text lists them."""


@dataclass(frozen=True)
class Selection:
    """Dead letters by number, or all that match; None is "any". Times: of the first refusal, `until` exclusive."""

    ids: tuple[int, ...] | None = None
    codes: tuple[str, ...] | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    statuses: tuple[str, ...] = OPEN

    def parameters(self) -> dict[str, Any]:
        """For the statements of this package."""
        lists = {name: None if (v := getattr(self, name)) is None else list(v) for name in ("ids", "codes", "statuses")}
        return {**lists, "topic": self.topic, "since": self.since, "until": self.until}

    def __str__(self) -> str:
        """For the audit: numbers (the first twenty) or conditions."""
        if self.ids is not None:
            listed = ", ".join(map(str, self.ids[:20]))
            return f"letters {listed}" + (f" and {len(self.ids) - 20} more" if len(self.ids) > 20 else "")
        said = [
            f"code {', '.join(self.codes)}" if self.codes else "",
            f"topic {self.topic}" if self.topic else "",
            f"since {self.since.isoformat()}" if self.since else "",
            f"until {self.until.isoformat()}" if self.until else "",
        ]
        return "; ".join(filter(None, said)) or "all open dead letters"


def statuses(connection: Connection, ids: tuple[int, ...]) -> dict[int, str]:
    """The status of each of the dead letters.

    Raises:
        UnknownDeadLetters: one of them does not exist.
    """
    found: dict[int, str] = dict(connection.execute(statement("status_of_letters"), {"ids": list(ids)}).fetchall())
    unknown = sorted(set(ids) - found.keys())
    if unknown:
        raise UnknownDeadLetters(", ".join(map(str, unknown)))
    return found


def count(connection: Connection, choice: Selection) -> tuple[int, int]:
    """How many dead letters are chosen now, and the number of the last of them (0 if there is none)."""
    row: Any = connection.execute(statement("count_letters"), choice.parameters()).fetchone()
    return row[0], row[1]


def pages(
    connection: Callable[[], Connection], choice: Selection, last: int, *, most: int, most_bytes: int
) -> Generator[list[int], None, None]:
    """The numbers of the chosen dead letters up to `last`, in pages of bounded count and bytes.

    Each page is looked up when it is asked for. A dead letter comes once, whatever becomes of it meanwhile.
    """
    after = 0
    while True:
        bounds = {"after": after, "last": last, "most": most}
        found = connection().execute(statement("choose_letters"), {**choice.parameters(), **bounds}).fetchall()
        if not found:
            return
        page = [found[0][0]]
        total = found[0][1]
        for letter, size in found[1:]:
            total += size
            if total > most_bytes:
                break
            page.append(letter)
        after = page[-1]
        yield page
