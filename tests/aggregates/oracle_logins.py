"""What is unusual about logins and logouts, and their hourly figures: the definitions once more, as plain loops.

What belongs here: the flags. What does not: every other table (`oracle`). Nothing of `millrace` is imported.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

_HOUR, _MINUTE, _HALF_DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(hours=12)
_USERS, _ADDRESSES, _LOGINS = 10, 4, 5


class _Event(Protocol):
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def event_id(self) -> Any: ...
    @property
    def type(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def payload(self) -> dict[str, Any]: ...


def audit(in_order: Sequence[_Event]) -> list[tuple[Any, ...]]:
    """A row a login or logout, from all events in order of time and place in Kafka."""
    rows: list[tuple[Any, ...]] = []
    earlier: list[_Event] = []
    for event in in_order:
        if event.type not in ("login", "logout"):
            continue
        mine = [e for e in earlier if e.user_id == event.user_id]
        flags = _of_login(event, mine, earlier) if event.type == "login" else _of_logout(event, mine)
        device = event.payload.get("device") or None
        moment = (event.event_id, event.occurred_at, event.user_id, event.type)
        rows.append((*moment, event.payload["ip"], device, sorted(name for name, is_so in flags.items() if is_so)))
        earlier.append(event)
    return rows


def hourly(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """A row an hour, from the rows of the audit."""
    hours: dict[datetime, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        hours[row[1].replace(minute=0, second=0, microsecond=0)].append(row)
    return [
        (
            hour,
            sum(row[3] == "login" for row in found),
            sum(row[3] == "logout" for row in found),
            len({row[2] for row in found}),
            len({address(row[4]) for row in found}),
            sum(bool(row[6]) for row in found),
        )
        for hour, found in hours.items()
    ]


def address(written: str) -> str:
    """Of all spellings of one address the same text; an IPv4-mapped one is the IPv4 address."""
    found = ipaddress.ip_address(written)
    return str(getattr(found, "ipv4_mapped", None) or found)


def _of_login(event: _Event, mine: list[_Event], everybody: list[_Event]) -> dict[str, bool]:
    ip, device = address(event.payload["ip"]), event.payload.get("device")
    logins = [e for e in mine if e.type == "login"]
    now_too = [*logins, event]
    from_here = [e for e in [*everybody, event] if e.type == "login" and address(e.payload["ip"]) == ip]
    return {
        "new_device": bool(device and logins and all(e.payload.get("device") != device for e in logins)),
        "new_address": bool(logins and all(address(e.payload["ip"]) != ip for e in logins)),
        "many_users_from_address": len({e.user_id for e in _within(_HOUR, event, from_here)}) >= _USERS,
        "many_addresses_for_user": len({address(e.payload["ip"]) for e in _within(_HOUR, event, now_too)})
        >= _ADDRESSES,
        "burst": len(_within(_MINUTE, event, now_too)) >= _LOGINS,
        "overlapping_sessions": any(
            (there := address(other.payload["ip"])) != ip and not _left(mine[mine.index(other) :], there)
            for other in _within(_HALF_DAY, event, logins)
        ),
    }


def _of_logout(event: _Event, mine: list[_Event]) -> dict[str, bool]:
    logouts = [n for n, e in enumerate(mine) if e.type == "logout"]
    since = mine[logouts[-1] + 1 :] if logouts else mine
    return {"logout_without_login": not _within(_HALF_DAY, event, since)}


def _within(window: timedelta, event: _Event, events: list[_Event]) -> list[_Event]:
    return [e for e in events if event.occurred_at - e.occurred_at < window]


def _left(since: list[_Event], ip: str) -> bool:
    return any(e.type == "logout" and address(e.payload["ip"]) == ip for e in since)
