"""The operators' log, `ops.audit_log`: who redrove, discarded, erased, dropped or gave up what.

What belongs here: writing entries, in the transaction that does what they say. What does not: what they say.
"""

import json
import os
import pwd
from collections.abc import Mapping
from typing import Any, NamedTuple

from resources.postgres import Connection

_FIND = """
select l.audit_id, l.details from ops.audit_log as l
where l.at > now() - interval '7 days' and l.action = %(action)s and l.details ->> 'run' = %(run)s
for update of l
"""
_UPDATE = "update ops.audit_log set details = %(details)s::jsonb where audit_id = %(audit_id)s"
_INSERT = """
insert into ops.audit_log (actor, action, subject, details)
values (%(actor)s, %(action)s, %(subject)s, %(details)s::jsonb)
"""


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
    found = connection.execute(_FIND, {"action": call.action, "run": call.run}).fetchone()
    if found is None:
        record(connection, call, figures)
        return
    connection.execute(_UPDATE, {"audit_id": found[0], "details": json.dumps(merged(found[1], figures))})


def record(connection: Connection, call: AuditedCall, figures: Mapping[str, Any]) -> None:
    """Write an entry of its own."""
    row = {"actor": call.actor, "action": call.action, "subject": call.subject}
    connection.execute(_INSERT, {**row, "details": json.dumps({"run": call.run, **figures})})


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
