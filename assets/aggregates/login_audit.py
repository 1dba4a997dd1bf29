"""The tables `login_audit` and `logins_hourly`: what is unusual about logins, kept exact whatever comes late.

One row for each event of type login or logout: action (its type), ip, device (null when missing or empty; logouts have
none), and flags in alphabetical order. Order of rows everywhere: (occurred_at, position), position being the event's
coordinates in Kafka: topic id, partition, offset; "earlier" is smaller in it. Addresses are compared as addresses, not
as they are written: `address` is the canonical text of `ip`, of an IPv4-mapped IPv6 address the IPv4 one. "Within W
before t": occurred_at > t - W. What has no ip or no device is never flagged for it.

- `burst` (login): within `burst_window` up to and including this login the user logged in `burst_logins` times or more.
- `logout_without_login` (logout): no login of the user within `session` before it that came after the user's previous
  logout: nothing was open.
- `many_addresses_for_user` (login): within `window` up to and including this login the user logged in from
  `addresses_per_user` distinct addresses or more.
- `many_users_from_address` (login): the same for `users_per_address` distinct users who logged in from this address.
- `new_address`, `new_device` (login): the user has logged in before, any time, never from this address or device.
- `overlapping_sessions` (login): a session of the user from another address is open: an earlier login from there within
  `session` before this one, and no logout of the user from there in between.

`logins_hourly`: logins and logouts of the hour, distinct users and addresses of both, rows with a flag.

Each flag that a row newly gets is counted (`millrace_login_anomalies_total`) in the transaction that writes it, and one
that is taken away again takes nothing back. So without late events the totals are the flags that there are, however the
stream was cut; a late event may take flags away, which stay counted. A rebuild counts what was not there before it.

The steps, each a `sql/login_audit_*.sql`: what changes (`take_in`, `differences`, `forget`; wrong rows are deleted
here), how far that reaches (`reach`), the rows that decide (`read_users`, `read_addresses`), their flags by windows
over these rows (`judge`), what that adds to the hours (`logins_hourly_add`), writing (`write`). What comes is written
last, each row once with its flags; until then the table holds nothing but what was there before.

ops.login_addresses tells who was seen at which address, possibly too long. It is kept by triggers on the table, whoever
writes it, and says which users and addresses cannot get a flag that depends on several; their rows are not read.

What belongs here: what an operator may change about the flags, and the order of the steps. What does not: locks, marks
and COMMIT; all of this is inside the transaction of a caller who is the only writer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from assets.aggregates.drift import Drift
from assets.aggregates.plans import joined_by_hash
from assets.aggregates.sql import statement
from monitoring.metrics.totals import NO_LANE, Totals
from resources.postgres import Connection

_HOUR = timedelta(hours=1)
_NO_RANGE: Mapping[str, datetime | None] = {"low": None, "high": None}


@dataclass(frozen=True)
class AuditRules:
    """When a login is unusual: windows and thresholds. Each is the setting of the same name with `audit_` before it.

    With it they are the parameters of `sql/login_audit_*.sql` too.
    """

    window: timedelta = timedelta(hours=1)
    users_per_address: int = 10
    addresses_per_user: int = 4
    burst_window: timedelta = timedelta(minutes=1)
    burst_logins: int = 5
    session: timedelta = timedelta(hours=12)


def merge(connection: Connection, rules: AuditRules) -> None:
    """Add the logins and logouts of the temporary table `arrived`, and repair all flags and hours that they change."""
    if _run(connection, "login_audit_take_in"):
        _reach(connection, rules, _NO_RANGE)
        _write(connection, rules, _NO_RANGE)


def rebuild(connection: Connection, low: datetime, high: datetime, rules: AuditRules) -> dict[str, Drift]:
    """Make the rows of [low, high) what raw.events says, and their flags what the rules say; right rows are untouched.

    Later rows whose flags depended on what was wrong are repaired too. For `logins_hourly` the range is all hours that
    [low, high) touches.
    """
    bounds = {"low": low, "high": high}
    hours = {"low": _hour(low), "high": _hour(high - timedelta.resolution) + _HOUR}
    with psycopg.ClientCursor(connection) as cursor:  # puts literals into the text: only these partitions are planned
        cursor.execute(statement("login_audit_differences"), bounds)
    _reach(connection, rules, bounds)
    _write(connection, rules, hours)
    [audit] = connection.execute(statement("login_audit_drift"), bounds).fetchall()
    [hourly] = connection.execute(statement("logins_hourly_rebuild"), hours).fetchall()
    return {"login_audit": Drift(*audit), "logins_hourly": Drift(*hourly)}


def forget(connection: Connection, users: Sequence[str], rules: AuditRules) -> None:
    """Remove rows of users whose events are gone from raw.events; what a user does meanwhile has its event, and stays.

    The flags of what stays, of others who came from the same addresses, and the hours, follow. Uncounted.
    """
    with psycopg.ClientCursor(connection) as cursor:  # several statements
        cursor.execute(statement("login_audit_forget"), {**_parameters(rules), "users": list(users)})
    _write(connection, rules, _NO_RANGE, counted=False)


def _reach(connection: Connection, rules: AuditRules, bounds: Mapping[str, datetime | None]) -> None:
    """Find the stretches in which flags may change: by what changes, and all of a range."""
    with joined_by_hash(connection):
        _run(connection, "login_audit_reach", {**_parameters(rules), **bounds})


def _write(
    connection: Connection, rules: AuditRules, beside: Mapping[str, datetime | None], *, counted: bool = True
) -> None:
    """Judge the rows in the stretches, add what changes to the hours outside a range, and write it."""
    with joined_by_hash(connection):
        for name in ("login_audit_read_users", "login_audit_read_addresses", "login_audit_judge"):
            _run(connection, name, _parameters(rules))
        _run(connection, "logins_hourly_add", beside)
    connection.execute("analyze audit_judged (occurred_at, event_id, comes)")
    if counted:
        _count_new_flags(connection)
    _run(connection, "login_audit_write")


def _parameters(rules: AuditRules) -> dict[str, Any]:
    return {f"audit_{name}": value for name, value in asdict(rules).items()}


def _count_new_flags(connection: Connection) -> None:
    """Before they are written. Nobody else adds to these totals: there is one writer of the aggregates at a time."""
    totals = Totals()
    for flag, age, newly in connection.execute(statement("login_audit_new_flags")):
        totals.count("millrace_login_anomalies_total", flag, age, by=newly)
    totals.write(connection, NO_LANE)


def _run(connection: Connection, name: str, parameters: Mapping[str, Any] | None = None) -> int:
    """How many rows the statement wrote."""
    return connection.execute(statement(name), parameters).rowcount


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
