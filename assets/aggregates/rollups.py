"""What follows from changed user days: profiles, active users, retention, funnel.

What belongs here: the order in which these tables follow, and their rebuilding from the helper rows. What does not: the
changes themselves (`user_days`, `sessions`).
"""

from collections.abc import Iterable
from datetime import date, timedelta

from assets.aggregates import funnel_days, per_user
from assets.aggregates.drift import Drift
from assets.aggregates.funnel import Funnel
from assets.aggregates.plans import joined_by_hash
from assets.aggregates.sql import statement
from resources.postgres import Connection


def follow(connection: Connection, funnel: Funnel) -> None:
    """Bring everything that is counted from user days and sessions to what these say now."""
    other = funnel_days.changed(connection, funnel)
    connection.execute("analyze session_changes")
    connection.execute(statement("user_changes"))
    connection.execute("analyze user_changes")
    with joined_by_hash(connection):
        days = [row[0] for row in connection.execute(statement("active_days"))]
    _publish_active_days(connection, days)
    with joined_by_hash(connection):
        cohorts = sorted({row[0] for row in connection.execute(statement("retention_weekly"))})
    connection.execute(statement("retention_users"), {"cohorts": cohorts})
    connection.execute(statement("retention_empty"), {"cohorts": cohorts})
    connection.execute(statement("funnel_changes"), {"names": funnel.names, "definition": funnel.definition})
    connection.execute(statement("funnel_empty"))
    for day in other:
        rebuild_funnel(connection, day, day + timedelta(days=1), funnel, [day])
    connection.execute(statement("user_profiles"))
    per_user.follow(connection)


def rebuild_active_users(connection: Connection, low: date, high: date) -> Drift:
    """Count the days of [low, high) anew, over the user days of the 28 days that end with each."""
    connection.execute(statement("rebuild_active_days"), {"low": low, "high": high})
    days = [row[0] for row in connection.execute(_DAYS, {"low": low, "high": high})]
    return _publish_active_days(connection, days)


def rebuild_funnel(
    connection: Connection, low: date, high: date, funnel: Funnel, other: Iterable[date] | None = None
) -> Drift:
    """Count the days of [low, high) anew; on those of another definition (`other`, if known) also each user's steps."""
    found = funnel_days.within(connection, low, high, funnel) if other is None else other
    funnel_days.redefine(connection, found, funnel)
    names = {"names": funnel.names, "definition": funnel.definition}
    return _drift(connection, "rebuild_funnel", low=low, high=high, **names)


def rebuild_retention(connection: Connection, low: date, high: date) -> Drift:
    """Count the weeks that [low, high) touches anew, for every cohort."""
    return _drift(connection, "rebuild_retention", low=low, high=high)


def rebuild_profiles(connection: Connection, users: Iterable[str]) -> Drift:
    """Sum the profiles of some users anew."""
    return _drift(connection, "rebuild_profiles", users=list(users))


_DAYS = """
select day from ops.active_days where day >= %(low)s and day < %(high)s
union select day from analytics.active_users_daily where day >= %(low)s and day < %(high)s
"""


def _publish_active_days(connection: Connection, days: list[date]) -> Drift:
    return _drift(connection, "active_users_daily", days=days)


def _drift(connection: Connection, name: str, **parameters: object) -> Drift:
    [[rows, drift]] = connection.execute(statement(name), parameters).fetchall()
    return Drift(rows, drift)
