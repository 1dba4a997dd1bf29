"""Which aggregates there are: grain, key and what each is made of.

What belongs here: what code and the user interface must know of a table beyond its columns. What does not: columns and
comments (`infra.postgres.tables.analytics`), and how a table is computed (its `.sql` and the modules beside this one).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Grain = Literal["minute", "hour", "day", "week", "session", "user", "event"]


@dataclass(frozen=True)
class Aggregate:
    """One table of the schema `analytics`, or one of helper rows in `ops`.

    `time_column` orders its rows in time; `upstream` are the tables that it is computed from. `count` is the measure
    of an hourly table that is counted from facts (`hourly`), else None. Raise `version` with a change by which rows of
    the past would be others: then they are made anew in the background (`history`). `beside` are further tables that
    it is computed from, which the lineage does not show.
    """

    name: str
    grain: Grain
    key: tuple[str, ...]
    time_column: str | None
    upstream: tuple[str, ...] = ("raw.events",)
    count: str | None = None
    schema: str = "analytics"
    version: int = 1
    beside: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        """The name with its schema."""
        return f"{self.schema}.{self.name}"


def _hourly(name: str, *key: str, count: str) -> Aggregate:
    return Aggregate(name, "hour", ("hour", *key), "hour", count=count)


_DAYS = ("ops.user_days",)
# A user is new on the day, and belongs to the week, of the profile's first event.
_FIRSTS = ("analytics.user_profiles",)

AGGREGATES: Mapping[str, Aggregate] = MappingProxyType(
    {
        each.name: each
        for each in (
            Aggregate("events_minutely", "minute", ("minute", "type"), "minute"),
            _hourly("events_hourly", "type", count="events"),
            _hourly("pages_hourly", "page", count="views"),
            _hourly("referrers_hourly", "referrer", count="views"),
            _hourly("buttons_hourly", "button_id", "page", count="clicks"),
            _hourly("forms_hourly", "form_id", count="submits"),
            Aggregate("user_days", "day", ("user_id", "day"), "day", schema="ops"),
            Aggregate("active_users_daily", "day", ("day",), "day", _DAYS, beside=_FIRSTS),
            Aggregate("sessions", "session", ("session_id",), "started_at"),
            Aggregate(
                "user_profiles", "user", ("user_id",), "last_seen_at", (*_DAYS, "analytics.sessions", "raw.events")
            ),
            Aggregate("retention_weekly", "week", ("cohort_week", "week"), "week", _DAYS, beside=_FIRSTS),
            Aggregate("funnel_daily", "day", ("day", "step"), "day", _DAYS),
            Aggregate("login_audit", "event", ("occurred_at", "event_id"), "occurred_at"),
            Aggregate("logins_hourly", "hour", ("hour",), "hour", ("analytics.login_audit",)),
        )
    }
)
REBUILDABLE = frozenset(AGGREGATES) - {"events_minutely"}
FILLED = tuple(name for name in AGGREGATES if name in REBUILDABLE)
"""In the catalog's order; each has a row in ops.aggregate_history."""
COUNTED = tuple(each for each in AGGREGATES.values() if each.count is not None)
