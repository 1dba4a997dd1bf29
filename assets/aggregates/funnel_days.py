"""Days of the funnel that were made by another definition: counted anew before they are shown as the one of now.

What belongs here: which days these are, and how far users came on them by the funnel of now. What does not: counting
the users of a day that is as it should be (`rollups`), and reading the funnel (`funnel_file`).
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from psycopg import sql

from assets.aggregates.funnel import Funnel
from assets.aggregates.plans import joined_by_hash
from resources.postgres import Connection

_AMONG_CHANGES = """
select distinct f.day from analytics.funnel_daily as f
where f.definition is distinct from %s and f.day in (select c.day from changes as c)
"""
_IN_RANGE = """
select distinct f.day from analytics.funnel_daily as f
where f.definition is distinct from %s and f.day >= %s and f.day < %s
"""
_EVENTS = """
select r.user_id, {day}::date as day, r.occurred_at, r.kafka_topic_id, r.kafka_partition, r.kafka_offset, r.type,
    r.payload
from raw.events as r where r.occurred_at >= {low} and r.occurred_at < {high}
"""
_STEPS = """
with fresh as materialized ({furthest})
update ops.user_days as d set funnel_steps = n.steps
from (
    select u.user_id, u.day, coalesce(f.steps, 0) as steps from ops.user_days as u
    left join fresh as f on f.user_id = u.user_id and f.day = u.day
    where u.day = {day}::date
) as n
where d.user_id = n.user_id and d.day = n.day and d.day = {day}::date and d.funnel_steps <> n.steps
"""


def changed(connection: Connection, funnel: Funnel) -> list[date]:
    """Days of the temporary table `changes` whose rows are of another definition."""
    return [row[0] for row in connection.execute(_AMONG_CHANGES, (funnel.definition,))]


def within(connection: Connection, low: date, high: date, funnel: Funnel) -> list[date]:
    """Days of [low, high) whose rows are of another definition."""
    return [row[0] for row in connection.execute(_IN_RANGE, (funnel.definition, low, high))]


def redefine(connection: Connection, days: Iterable[date], funnel: Funnel) -> None:
    """Set how far each user came on these days, by the funnel of now."""
    for day in days:
        low = datetime(day.year, day.month, day.day, tzinfo=UTC)
        bounds = {"low": sql.Literal(low.isoformat()), "high": sql.Literal((low + timedelta(days=1)).isoformat())}
        named = sql.Literal(day.isoformat())
        furthest = funnel.furthest(sql.SQL(_EVENTS).format(day=named, **bounds))
        with joined_by_hash(connection):
            connection.execute(sql.SQL(_STEPS).format(furthest=furthest, day=named))
