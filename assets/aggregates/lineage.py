"""Which column comes from which: written once, for the lineage in Dagster's user interface.

What belongs here: `column: "upstream columns"`, by table. What does not: how tables depend on tables (`catalog`), and
how a column is computed (its `.sql`). A test holds every column named here against the database.
"""

from collections.abc import Mapping
from types import MappingProxyType

_E, _D, _S, _L = "raw.events.", "ops.user_days.", "analytics.sessions.", "analytics.login_audit."
_TIME, _TYPE, _USER, _PAYLOAD = f"{_E}occurred_at", f"{_E}type", f"{_E}user_id", f"{_E}payload"
_USER_DAY = f"{_D}user_id {_D}day"


def _per_hour(count: str, of: str = _TYPE, **dimensions: str) -> Mapping[str, str]:
    return {"hour": _TIME, **dimensions, count: of, "users": _USER}


# Each text lists upstream columns, separated by blanks.
LINEAGE: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "events_minutely": {"minute": _TIME, "type": _TYPE, "events": f"{_E}event_id"},
        "events_hourly": _per_hour("events", f"{_E}event_id", type=_TYPE),
        "pages_hourly": _per_hour("views", page=_PAYLOAD),
        "referrers_hourly": _per_hour("views", referrer=_PAYLOAD),
        "buttons_hourly": _per_hour("clicks", button_id=_PAYLOAD, page=_PAYLOAD),
        "forms_hourly": _per_hour("submits", form_id=_PAYLOAD),
        "user_days": {
            "user_id": _USER,
            "day": _TIME,
            "events": f"{_E}event_id",
            **dict.fromkeys(("logins", "page_views", "button_clicks", "form_submits"), _TYPE),
            **dict.fromkeys(("first_at", "last_at"), _TIME),
            "funnel_steps": f"{_TYPE} {_TIME} {_PAYLOAD}",
        },
        "active_users_daily": {
            "day": f"{_D}day",
            **dict.fromkeys(("dau", "wau", "mau", "new_users", "returning_users", "stickiness"), _USER_DAY),
        },
        "sessions": {
            "session_id": f"{_USER} {_TIME}",
            "user_id": _USER,
            **dict.fromkeys(("started_at", "ended_at"), _TIME),
            "events": f"{_E}event_id",
            **dict.fromkeys(("page_views", "bounced"), _TYPE),
            **dict.fromkeys(("entry_page", "exit_page"), f"{_PAYLOAD} {_TIME}"),
        },
        "user_profiles": {
            "user_id": f"{_D}user_id",
            "first_seen_at": f"{_D}first_at",
            "last_seen_at": f"{_D}last_at",
            **{name: f"{_D}{name}" for name in ("events", "logins", "page_views", "button_clicks", "form_submits")},
            "sessions": f"{_S}session_id",
            **dict.fromkeys(("usual_device", "usual_ip"), _PAYLOAD),
        },
        "retention_weekly": dict.fromkeys(("cohort_week", "week", "users", "retained"), _USER_DAY),
        "funnel_daily": {
            "day": f"{_D}day",
            **dict.fromkeys(("step", "name", "definition"), f"{_D}funnel_steps"),
            "users": f"{_D}user_id {_D}funnel_steps",
        },
        "login_audit": {
            "event_id": f"{_E}event_id",
            "occurred_at": _TIME,
            "user_id": _USER,
            "action": _TYPE,
            **dict.fromkeys(("ip", "device", "address"), _PAYLOAD),
            "position": f"{_E}kafka_topic_id {_E}kafka_partition {_E}kafka_offset",
            "flags": f"{_USER} {_TIME} {_TYPE} {_PAYLOAD}",
        },
        "logins_hourly": {
            "hour": f"{_L}occurred_at",
            **dict.fromkeys(("logins", "logouts"), f"{_L}action"),
            "users": f"{_L}user_id",
            "addresses": f"{_L}address",
            "flagged": f"{_L}flags",
        },
    }
)


def upstream(table: str, column: str) -> list[tuple[str, str]]:
    """What a column comes from: tables with their schema, and columns. Empty for a column that is not described."""
    names = LINEAGE.get(table, {}).get(column, "").split()
    return [(name.rpartition(".")[0], name.rpartition(".")[2]) for name in names]
