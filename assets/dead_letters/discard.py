"""Dead letters that nobody wants: they stay where they are, and neither a redrive of all nor a replay takes them again.

What belongs here: the transaction of a discard. What does not: deciding which dead letters.
"""

import uuid
from collections import Counter
from collections.abc import Callable

from assets import audit
from assets.dead_letters import selection as choices
from assets.dead_letters.selection import Selection
from assets.dead_letters.sql import statement
from assets.ingest import dead_letter_history
from assets.ingest.dead_letter_history import AttemptEntry
from resources.postgres import Connection, Postgres, commit

_DEAD_LETTERS = 5_000
_LOCK_TIMEOUT = "30s"  # an ingest that moves these partitions holds them for about a second


def discard(
    postgres: Postgres, choice: Selection, reason: str, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> dict[str, int]:
    """Discard the chosen open dead letters; returns how many of each code.

    Raises:
        psycopg.Error: the page at hand was not discarded; those before it were.
    """
    run, done, counted = f"discard-{uuid.uuid4().hex[:12]}", 0, Counter[str]()
    call = audit.AuditedCall(run, audit.actor(), "discard", str(choice))
    with postgres.connect("millrace-discard") as connection:
        found, last = choices.count(connection, choice)
        for page in choices.pages(lambda: connection, choice, last, most=_DEAD_LETTERS, most_bytes=1 << 62):
            counted += _discard(connection, page, reason, call)
            done += len(page)
            progress(min(done, found), found)
    return dict(counted)


def _discard(connection: Connection, page: list[int], reason: str, call: audit.AuditedCall) -> Counter[str]:
    connection.execute("begin")
    connection.execute("select set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
    connection.execute(statement("hold_places"), {"ids": page})
    locked = [r[0] for r in connection.execute(statement("lock_dead_letters"), {"ids": page, "statuses": ["open"]})]
    dead_letter_history.begin(connection, locked)
    rows = connection.execute(statement("discard_dead_letters"), {"ids": locked}).fetchall()
    dead_letter_history.write(
        connection, [AttemptEntry(dead_letter, "discarded", code, reason) for dead_letter, code in rows], call.run
    )
    counted = Counter[str](code for _, code in rows)
    if rows:
        audit.add(connection, call, {"reason": reason, "discarded": len(rows), "by_code": dict(counted)})
    commit(connection)
    return counted
