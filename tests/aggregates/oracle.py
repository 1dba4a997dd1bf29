"""Every aggregate computed anew from a list of events, in pandas, as naively as it can be read.

What belongs here: the definitions of the tables, once more and independently. What does not: anything of Millrace's
(nothing of `millrace` is imported), speed, and the flags of logins (`oracle_logins`).
"""

import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd

from tests.aggregates import oracle_logins

Row = tuple[Any, ...]
Tables = dict[str, list[Row]]

_GAP = timedelta(minutes=30)
_STEPS = (("viewed", "page_view"), ("clicked", "button_click"), ("submitted", "form_submit"))
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "events.millrace")

_FIELDS = {
    "page": "page",
    "referrer": "referrer",
    "button_id": "buttonId",
    "form_id": "formId",
    "ip": "ip",
    "device": "device",
}


class Facts(NamedTuple):
    """What a table counts: its key beside the time, how it calls the number, and of which type the events are."""

    key: tuple[str, ...]
    counted: str
    type: str | None
    filled: tuple[str, ...] = ()
    by: str = "hour"

    def of(self, frame: Any) -> Any:
        """The events that count; what is missing of `filled` is empty."""
        chosen = frame if self.type is None else frame[frame["type"] == self.type]
        return chosen.assign(**{name: chosen[name].fillna("") for name in self.filled})


_COUNTED = {
    "events_hourly": Facts(("type",), "events", None),
    "pages_hourly": Facts(("page",), "views", "page_view"),
    "referrers_hourly": Facts(("referrer",), "views", "page_view", filled=("referrer",)),
    "buttons_hourly": Facts(("button_id", "page"), "clicks", "button_click"),
    "forms_hourly": Facts(("form_id",), "submits", "form_submit"),
}
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "events_minutely": (("minute", "type"), ("events",)),
    **{name: ((each.by, *each.key), (each.counted, "users")) for name, each in _COUNTED.items()},
    "active_users_daily": (("day",), ("dau", "wau", "mau", "new_users", "returning_users", "stickiness")),
    "sessions": (
        ("user_id", "started_at"),
        ("ended_at", "events", "page_views", "entry_page", "exit_page", "bounced"),
    ),
    "user_profiles": (
        ("user_id",),
        (
            *("first_seen_at", "last_seen_at", "events", "logins", "page_views", "button_clicks", "form_submits"),
            *("sessions", "usual_device", "usual_ip"),
        ),
    ),
    "retention_weekly": (("cohort_week", "week"), ("users", "retained")),
    "funnel_daily": (("day", "step"), ("name", "users")),
    "login_audit": (("event_id",), ("occurred_at", "user_id", "action", "ip", "device", "flags")),
    "logins_hourly": (("hour",), ("logins", "logouts", "users", "addresses", "flagged")),
    "logins": (("event_id",), ("occurred_at", "user_id", "ip", "device")),
    "logouts": (("event_id",), ("occurred_at", "user_id", "ip")),
    "page_views": (("event_id",), ("occurred_at", "user_id", "page", "referrer", "device")),
    "button_clicks": (("event_id",), ("occurred_at", "user_id", "button_id", "page")),
    "form_submits": (("event_id",), ("occurred_at", "user_id", "form_id")),
}
"""Key and other columns of each table."""


class Event(NamedTuple):
    """A valid event; `place` is its partition and offset in Kafka, where it matters."""

    occurred_at: datetime
    event_id: uuid.UUID
    type: str
    user_id: str
    payload: dict[str, Any]
    topic_partition: tuple[int, int] = (0, 0)


def event_of(sent: dict[str, Any]) -> Event:
    """The event that a valid JSON value stands for."""
    text = sent["eventId"]
    is_uuid = re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}", text)
    event_id = uuid.UUID(text) if is_uuid else uuid.uuid5(_NAMESPACE, text)
    moment = datetime.fromisoformat(sent["timestamp"]).astimezone(UTC)
    return Event(moment, event_id, sent["type"], sent["payload"]["userId"], sent["payload"])


def tables(events: Iterable[Event]) -> Tables:
    """Every table's rows: key columns first, as in COLUMNS, in the order of the key."""
    ordered = sorted(events, key=lambda e: (e.occurred_at, e.topic_partition))
    if not ordered:
        return {name: [] for name in COLUMNS}
    frame = _frame(ordered)
    sessions = _sessions(frame)
    audit = oracle_logins.audit(ordered)
    found = {
        "events_minutely": [row[:-1] for row in _counted(frame, "minute", "type")],
        **{name: _counted(each.of(frame), each.by, *each.key) for name, each in _COUNTED.items()},
        "active_users_daily": _active_users(frame),
        "sessions": sessions,
        "user_profiles": _profiles(frame, sessions),
        "retention_weekly": _retention(frame),
        "funnel_daily": _funnel(frame),
        "login_audit": audit,
        "logins_hourly": oracle_logins.hourly(audit),
        **_views(frame),
    }
    return {name: in_order(name, rows) for name, rows in found.items()}


def in_order(name: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of a table by its key."""
    width = len(COLUMNS[name][0])
    return sorted(rows, key=lambda row: row[:width])


def _frame(events: Sequence[Event]) -> Any:
    """One row an event, in the order of the key."""
    frame = pd.DataFrame([e._asdict() for e in events], dtype=object)
    frame["place"] = pd.Series([e.topic_partition for e in events], dtype=object)
    for column, field in _FIELDS.items():
        frame[column] = pd.Series([e.payload.get(field) for e in events], dtype=object)
    times = [e.occurred_at for e in events]
    frame["minute"] = pd.Series([t.replace(second=0, microsecond=0) for t in times], dtype=object)
    frame["hour"] = pd.Series([t.replace(minute=0, second=0, microsecond=0) for t in times], dtype=object)
    frame["day"] = pd.Series([t.date() for t in times], dtype=object)
    frame["week"] = pd.Series([_monday(t.date()) for t in times], dtype=object)
    return frame


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _counted(frame: Any, *key: str) -> list[Row]:
    """Events and distinct users by key."""
    users = frame.groupby(list(key))["user_id"]
    return [(*k, events, distinct) for (k, events), distinct in zip(users.size().items(), users.nunique(), strict=True)]


def _active_users(frame: Any) -> list[Row]:
    users_of = {day: set(users) for day, users in frame.groupby("day")["user_id"]}
    first_day = frame.groupby("user_id")["day"].min()

    def active(last: date, days: int) -> int:
        return len(set[str]().union(*(users for day, users in users_of.items() if 0 <= (last - day).days < days)))

    rows: list[Row] = []
    for day in users_of:
        dau, wau, mau = (active(day, days) for days in (1, 7, 28))
        new = int((first_day == day).sum())
        rows.append((day, dau, wau, mau, new, dau - new, dau / mau))
    return rows


def _sessions(frame: Any) -> list[Row]:
    by_user = frame.sort_values("user_id", kind="stable")
    users, times = list(by_user["user_id"]), list(by_user["occurred_at"])
    begins = [n == 0 or users[n] != users[n - 1] or times[n] - times[n - 1] > _GAP for n in range(len(users))]
    number = pd.Series(begins, index=by_user.index).cumsum()
    views = by_user[by_user["type"] == "page_view"]
    pages = {session: list(found) for session, found in views["page"].groupby(number)}
    rows: list[Row] = []
    for session, mine in by_user.groupby(number).indices.items():
        seen = pages.get(session, [])
        entry, leave = (seen[0], seen[-1]) if seen else (None, None)
        head = (users[mine[0]], times[mine[0]], times[mine[-1]])
        rows.append((*head, len(mine), len(seen), entry, leave, len(seen) == len(mine) == 1))
    return rows


def _profiles(frame: Any, sessions: list[Row]) -> list[Row]:
    rows: list[Row] = []
    for user, mine in frame.groupby("user_id"):
        of_type = [int((mine["type"] == kind).sum()) for kind in ("login", *(kind for _, kind in _STEPS))]
        number = sum(session[0] == user for session in sessions)
        usual = (_usual(mine["device"]), _usual(mine["ip"].map(_address)))
        rows.append(
            (user, mine["occurred_at"].iloc[0], mine["occurred_at"].iloc[-1], len(mine), *of_type, number, *usual)
        )
    return rows


def _address(written: str | None) -> str | None:
    return oracle_logins.address(written) if written else written


def _usual(values: Any) -> str | None:
    counts = values[values.astype(bool)].value_counts()
    return min((v for v in counts.index if counts[v] == counts.max()), key=lambda v: v.encode(), default=None)


def _retention(frame: Any) -> list[Row]:
    cohort_of = frame.groupby("user_id")["week"].min()
    size = cohort_of.value_counts()
    came = frame.assign(cohort=frame["user_id"].map(cohort_of)).groupby(["cohort", "week"])["user_id"].nunique()
    return [(cohort, week, int(size[cohort]), int(users)) for (cohort, week), users in came.items()]


def _funnel(frame: Any) -> list[Row]:
    rows: list[Row] = []
    for day, events in frame.groupby("day"):
        failpoint = [_steps_taken(list(mine.itertuples())) for _, mine in events.groupby("user_id")]
        for number, (name, _) in enumerate(_STEPS, start=1):
            rows.append((day, number, name, sum(steps >= number for steps in failpoint)))
    return rows


def _steps_taken(events: list[Any]) -> int:
    """How many steps a user took in order: a step may follow any event that may have been before it."""
    ways = [e for e in events if e.type == _STEPS[0][1]]
    steps = 1 if ways else 0
    for _, kind in _STEPS[1:]:
        ways = [e for e in events if e.type == kind and any(_may_follow(e, before) for before in ways)]
        steps += bool(ways)
        if not ways:
            break
    return steps


def _may_follow(event: Any, before: Any) -> bool:
    if event.occurred_at != before.occurred_at:
        return event.occurred_at > before.occurred_at
    return event.topic_partition[0] != before.topic_partition[0] or event.topic_partition[1] > before.topic_partition[1]


def _views(frame: Any) -> Tables:
    rows: Tables = {}
    for kind in ("login", "logout", "page_view", "button_click", "form_submit"):
        key, others = COLUMNS[f"{kind}s"]
        mine = frame[frame["type"] == kind]
        rows[f"{kind}s"] = [tuple(row) for row in mine[[*key, *others]].itertuples(index=False, name=None)]
    return rows
