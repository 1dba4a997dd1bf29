"""The audit of logins without the engine: events put in place by hand, and its definitions as naive loops.

What belongs here: rows in and rows out, and what they should be. What does not: assertions (`test_login_audit`), the
oracle of all tables with the default rules (`oracle`).
"""

import ipaddress
import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from assets.aggregates import login_audit, marks
from assets.aggregates.drift import Drift
from assets.aggregates.login_audit import AuditRules
from resources.postgres import Connection

TOPIC = uuid.UUID(int=1)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
Rows = list[tuple[Any, ...]]


class Visit(NamedTuple):
    """A login or logout; in the order of the audit."""

    at: datetime
    number: int
    user: str = "u"
    ip: str = "192.0.2.1"
    device: str | None = "phone"
    action: str = "login"

    @property
    def event_id(self) -> uuid.UUID:
        """Not in the order of the numbers, which are the offsets."""
        return uuid.uuid5(TOPIC, str(self.number))


def visits(*described: tuple[float, str] | tuple[float, str, dict[str, Any]]) -> list[Visit]:
    """Visits from (minutes after noon, action, what else)."""
    return [
        Visit(NOON + timedelta(minutes=each[0]), n, action=each[1], **(each[2] if len(each) > 2 else {}))
        for n, each in enumerate(described)
    ]


@dataclass
class Bench:
    """A connection on which events are taken in by hand."""

    connection: Connection
    rules: AuditRules

    def store(self, some: Collection[Visit]) -> None:
        """Put events into raw.events."""
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "insert into raw.events (event_id, occurred_at, type, user_id, payload, kafka_topic_id,"
                " kafka_partition, kafka_offset) values (%s, %s, %s, %s, %s, %s, 0, %s)",
                [(v.event_id, v.at, v.action, v.user, _payload(v), TOPIC, v.number) for v in some],
            )

    def merge(self, some: Collection[Visit]) -> None:
        """Store events and take them in, as the engine would inside its transaction."""
        self.store(some)
        marks.clear(self.connection)
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "insert into arrived (event_id, occurred_at, hour, day, type, user_id, payload, position)"
                " values (%s, %s, date_trunc('hour', %s, 'UTC'), %s, %s, %s, %s,"
                " ops.kafka_position(%s, 0, %s))",
                [(v.event_id, v.at, v.at, v.at.date(), v.action, v.user, _payload(v), TOPIC, v.number) for v in some],
            )
        login_audit.merge(self.connection, self.rules)

    def rebuild(self, low: datetime, high: datetime) -> dict[str, Drift]:
        """Rebuild a range, as the engine would inside a transaction that took marks in before."""
        marks.clear(self.connection)
        return login_audit.rebuild(self.connection, low, high, self.rules)

    def forget(self, users: Sequence[str]) -> None:
        """Forget users whose events were deleted."""
        marks.clear(self.connection)
        login_audit.forget(self.connection, users, self.rules)

    def delete(self, some: Collection[Visit]) -> None:
        """Take events out of raw.events."""
        self.connection.execute("delete from raw.events where event_id = any(%s)", ([v.event_id for v in some],))

    def audit(self) -> Rows:
        """What login_audit holds."""
        return self.connection.execute(
            "select occurred_at, event_id, user_id, action, ip, device, flags from analytics.login_audit"
            " order by occurred_at, position"
        ).fetchall()

    def hours(self) -> Rows:
        """What logins_hourly holds."""
        return self.connection.execute("select * from analytics.logins_hourly order by 1").fetchall()

    def flags(self) -> list[list[str]]:
        """The flags alone, in the order of the rows."""
        return [row[6] for row in self.audit()]


def _payload(visit: Visit) -> str:
    # A device in a logout is an extra field of its payload, which the audit must not take for one.
    return json.dumps({"userId": visit.user, "ip": visit.ip, "device": visit.device, "duration": 1})


def expected_audit(world: Collection[Visit], rules: AuditRules) -> Rows:
    """The rows of login_audit, by the definitions and nothing else."""
    ordered = sorted(world)
    return [
        (v.at, v.event_id, v.user, v.action, v.ip, _device(v), _flags(v, ordered[:n], rules))
        for n, v in enumerate(ordered)
    ]


def expected_hours(rows: Rows) -> Rows:
    """The rows of logins_hourly, from those of login_audit."""
    found: Rows = []
    for hour in sorted({row[0].replace(minute=0, second=0, microsecond=0) for row in rows}):
        inside = [row for row in rows if hour <= row[0] < hour + timedelta(hours=1)]
        logins = sum(row[3] == "login" for row in inside)
        distinct = len({row[2] for row in inside}), len({str(ipaddress.ip_address(row[4])) for row in inside})
        found.append((hour, logins, len(inside) - logins, *distinct, sum(bool(row[6]) for row in inside)))
    return found


def _device(visit: Visit) -> str | None:
    return (visit.device or None) if visit.action == "login" else None


def _address(visit: Visit) -> str:
    found = ipaddress.ip_address(visit.ip)
    return str(getattr(found, "ipv4_mapped", None) or found)


def _flags(now: Visit, before: Sequence[Visit], rules: AuditRules) -> list[str]:
    mine = [v for v in before if v.user == now.user]
    if now.action == "logout":
        return [] if _was_open(now, mine, rules) else ["logout_without_login"]
    logins = [v for v in mine if v.action == "login"]
    recent = [v for v in [*before, now] if v.action == "login" and v.at > now.at - rules.window]
    burst = [v for v in [*logins, now] if v.at > now.at - rules.burst_window]
    found = {
        "burst": len(burst) >= rules.burst_logins,
        "many_addresses_for_user": len({_address(v) for v in recent if v.user == now.user}) >= rules.addresses_per_user,
        "many_users_from_address": len({v.user for v in recent if _address(v) == _address(now)})
        >= rules.users_per_address,
        "new_address": bool(logins) and _address(now) not in {_address(v) for v in logins},
        "new_device": bool(logins) and bool(now.device) and now.device not in {v.device for v in logins},
        "overlapping_sessions": _overlaps(now, mine, rules),
    }
    return [name for name, is_so in found.items() if is_so]


def _was_open(now: Visit, mine: Sequence[Visit], rules: AuditRules) -> bool:
    for v in reversed(mine):
        if v.action == "logout":
            return False
        if v.at > now.at - rules.session:
            return True
    return False


def _overlaps(now: Visit, mine: Sequence[Visit], rules: AuditRules) -> bool:
    for n, v in enumerate(mine):
        if v.action == "login" and _address(v) != _address(now) and v.at > now.at - rules.session:
            closed = any(later.action == "logout" and _address(later) == _address(v) for later in mine[n + 1 :])
            if not closed:
                return True
    return False
