"""The audit: an entry for each call of a command that changed something, written in the transactions that change it.

What belongs here: adding figures to the entry of a call. What does not: figures of what.
"""

import json
import os
import pwd
from collections.abc import Mapping
from typing import Any, NamedTuple

from assets.dead_letters.sql import statement
from resources.postgres import Connection


class AuditedCall(NamedTuple):
    """A call of a command: who, what, to what; `run` is its own and in no other entry."""

    run: str
    actor: str
    action: str
    subject: str


def add(connection: Connection, call: AuditedCall, figures: Mapping[str, Any]) -> None:
    """Add figures to the call's entry, made at the first time; what was committed before the process died stays true.

    Args:
        connection: in the transaction that does what the figures say.
        call: whose entry.
        figures: numbers are added up, mappings entry by entry, everything else replaces what was there.
    """
    found = connection.execute(statement("find_audit"), {"action": call.action, "run": call.run}).fetchone()
    before: Mapping[str, Any] = found[1] if found else {"run": call.run}
    details = json.dumps(merged(before, figures))
    if found:
        connection.execute(statement("update_audit"), {"audit_id": found[0], "details": details})
        return
    row = {"actor": call.actor, "action": call.action, "subject": call.subject, "details": details}
    connection.execute(statement("insert_audit"), row)


def merged(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of both."""
    made = dict(before)
    for name, value in more.items():
        if isinstance(value, Mapping):
            made[name] = merged(made.get(name, {}), value)
        elif isinstance(value, int):
            made[name] = made.get(name, 0) + value
        else:
            made[name] = value
    return made


def actor() -> str:
    """The user of the operating system that runs this process; not what the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number without a name
        return f"uid {os.getuid()}"
