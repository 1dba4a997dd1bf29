"""Which dead letters are meant: by number, or by code, topic, key, event id and time.

What belongs here: the choice, and walking through the chosen dead letters page by page. What does not: what is done to
them.
"""

import json
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assets.dead_letters.sql import statement
from contract.identity import uuid_bytes
from resources.postgres import Connection

OPEN = ("open",)
STATUSES = ("open", "resolved", "discarded")


class UnknownDeadLetters(Exception):
    """Some of the named dead letters do not exist; its text lists them."""


@dataclass(frozen=True)
class Selection:
    """Dead letters by number, or all that match; None is "any". Times: of the first refusal, `until` exclusive.

    An event's id is looked for in the bytes of the value, as JSON writes it: what is no JSON is found by it too.
    """

    ids: tuple[int, ...] | None = None
    codes: tuple[str, ...] | None = None
    topic: str | None = None
    key: str | None = None
    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    statuses: tuple[str, ...] = OPEN

    def parameters(self) -> dict[str, Any]:
        """For the statements of this package."""
        lists = {name: None if (v := getattr(self, name)) is None else list(v) for name in ("ids", "codes", "statuses")}
        times = {"topic": self.topic, "since": self.since, "until": self.until}
        event = None if self.event_id is None else event_pattern(self.event_id)
        key = None if self.key is None else self.key.encode(errors="surrogateescape")
        return {**lists, **times, "key": key, "event": event}

    def __str__(self) -> str:
        """For the audit: numbers (the first twenty) or conditions; a key and an id may be a person's, so not which."""
        if self.ids is not None:
            listed = ", ".join(map(str, self.ids[:20]))
            return f"dead letters {listed}" + (f" and {len(self.ids) - 20} more" if len(self.ids) > 20 else "")
        said = [
            f"code {', '.join(self.codes)}" if self.codes else "",
            f"topic {self.topic}" if self.topic else "",
            "one key" if self.key is not None else "",
            "one event id" if self.event_id is not None else "",
            f"since {self.since.isoformat()}" if self.since else "",
            f"until {self.until.isoformat()}" if self.until else "",
        ]
        return "; ".join(filter(None, said)) or "all open dead letters"


def event_pattern(event_id: str) -> str:
    """A regular expression of PostgreSQL for a value's bytes, as encode(value, 'escape') shows them.

    An id may stand there as it is or with characters escaped, and a UUID in small or in large letters.
    """
    is_uuid = uuid_bytes(event_id) is not None
    texts = {event_id, event_id.lower(), event_id.upper()} if is_uuid else {event_id}
    forms = {json.dumps(text, ensure_ascii=escaped) for text in texts for escaped in (True, False)}
    forms |= {form.replace("/", "\\/") for form in forms}
    return rf'"eventId"\s*:\s*(?:{"|".join(re.escape(_shown(form)) for form in sorted(forms))})'


def _shown(text: str) -> str:
    plain = text.replace("\\", "\\\\").encode(errors="surrogateescape")
    return "".join(chr(byte) if byte < 0x80 else f"\\{byte:03o}" for byte in plain)


def choosing(name: str) -> bytes:
    """A statement that reads the dead letters of a choice as `chosen`."""
    return b"with chosen as (\n" + statement("chosen_dead_letters") + b")\n\n" + statement(name)


def of_event(connection: Connection, event_id: str, most: int) -> list[int]:
    """The numbers of the newest dead letters whose value holds the id."""
    rows = connection.execute(statement("dead_letters_of_event"), {"event": event_pattern(event_id), "most": most})
    return [row[0] for row in rows]


def statuses(connection: Connection, ids: tuple[int, ...]) -> dict[int, str]:
    """The status of each of the dead letters.

    Raises:
        UnknownDeadLetters: one of them does not exist.
    """
    found: dict[int, str] = dict(connection.execute(statement("status_of_dead_letters"), {"ids": list(ids)}).fetchall())
    unknown = sorted(set(ids) - found.keys())
    if unknown:
        raise UnknownDeadLetters(", ".join(map(str, unknown)))
    return found


def count(connection: Connection, choice: Selection) -> tuple[int, int]:
    """How many dead letters are chosen now, and the number of the last of them (0 if there is none)."""
    row: Any = connection.execute(choosing("count_dead_letters"), choice.parameters()).fetchone()
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
        found = connection().execute(choosing("choose_dead_letters"), {**choice.parameters(), **bounds}).fetchall()
        if not found:
            return
        page = [found[0][0]]
        total = found[0][1]
        for dead_letter, size in found[1:]:
            total += size
            if total > most_bytes:
                break
            page.append(dead_letter)
        after = page[-1]
        yield page
