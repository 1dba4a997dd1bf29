"""Tables that count facts by day: events of a kind and distinct users, as `hourly` does by hour.

Who is counted already says ops.day_members: a row for each day, table, key and user, with how many events count. So new
events are added, and erased ones subtracted, without reading any others, whatever the day holds. What belongs here: the
three things that are done with facts, the same for every table. What does not: what a fact is (a table's `.sql`).
"""

from datetime import datetime
from typing import LiteralString

from psycopg import sql

from assets.aggregates.catalog import COUNTED_BY_DAY, Aggregate
from assets.aggregates.drift import Drift
from assets.aggregates.members import day_member
from assets.aggregates.plans import joined_by_hash
from assets.aggregates.tables import facts
from resources.postgres import Connection

_FACTS = """
    select f.*, {member} as member from (
        select {keys}, user_id, count(*) as n from (with events as ({events}) {facts}) as e group by {keys}, user_id
    ) as f
"""
# A user is counted for the first time where the member has no more events than came now.
_ADD = """
with new as materialized ({new}),
members as (
    insert into ops.day_members as m (day, name, member, events)
    select day, {name}, member, n from new order by day, member
    on conflict (day, name, member) do update set events = m.events + excluded.events
    returning m.day, m.member, m.events
)
insert into {table} as t ({keys}, {count}, users)
select {new_keys}, sum(new.n), count(*) filter (where members.events = new.n)
from new inner join members on new.day = members.day and new.member = members.member
group by {new_keys} order by {new_keys}
on conflict ({keys}) do update set {count} = t.{count} + excluded.{count}, users = t.users + excluded.users
"""
_SUBTRACT = """
with new as materialized ({new}),
members as (
    update ops.day_members as m set events = m.events - new.n
    from new where m.day = new.day and m.name = {name} and m.member = new.member
    returning m.day, m.member, m.events
),
less as (
    select {new_keys}, sum(new.n) as n, count(*) filter (where members.events = 0) as users
    from new inner join members on new.day = members.day and new.member = members.member group by {new_keys}
)
update {table} as t set {count} = t.{count} - less.n, users = t.users - less.users
from less where {same_row} and t.day >= {low}
"""
_DELETE_EMPTY = "delete from {table} where {count} = 0 and day = any(array(select distinct day from gone))"
_DELETE_MEMBERS = "delete from ops.day_members where events = 0 and day = any(array(select distinct day from gone))"
_FREEZE = """
delete from ops.day_members where day < (select max(frontier at time zone 'UTC')::date from ops.retention_frontier)
"""
_REBUILD = """
with new as materialized ({new}),
fresh as materialized (select {keys}, sum(n)::bigint as {count}, count(*) as users from new group by {keys}),
left_members as (
    delete from ops.day_members as m where m.day >= {low} and m.day < {high} and m.name = {name}
    and not exists (select 1 from new where new.day = m.day and new.member = m.member)
),
new_members as (
    insert into ops.day_members as m (day, name, member, events)
    select day, {name}, member, n from new
    except select day, name, member, events from ops.day_members where day >= {low} and day < {high} and name = {name}
    order by day, member
    on conflict (day, name, member) do update set events = excluded.events
),
stale as (
    delete from {table} as t where t.day >= {low} and t.day < {high}
    and not exists (select 1 from fresh as less where {same_row}) returning 1
),
changed as (
    insert into {table} as t ({keys}, {count}, users)
    select {keys}, {count}, users from fresh
    except select {keys}, {count}, users from {table} where day >= {low} and day < {high}
    order by {keys}
    on conflict ({keys}) do update set {count} = excluded.{count}, users = excluded.users returning 1
)
select (select count(*) from fresh), (select count(*) from stale) + (select count(*) from changed)
"""
_ARRIVED = sql.SQL("select * from arrived")
_GONE = sql.SQL("select * from gone")
_RAW = sql.SQL("""
    select date_trunc('hour', r.occurred_at, 'UTC') as hour, (r.occurred_at at time zone 'UTC')::date as day, r.type,
        r.user_id, r.payload
    from raw.events as r where r.occurred_at >= {low} and r.occurred_at < {high}
""")


def merge(connection: Connection) -> None:
    """Add what arrived to every table."""
    with joined_by_hash(connection):
        for each in COUNTED_BY_DAY:
            connection.execute(_filled(_ADD, each, _ARRIVED))
    if COUNTED_BY_DAY:
        connection.execute(_FREEZE)


def forget(connection: Connection, frontier: datetime) -> None:
    """Subtract what is gone. Days before the frontier are frozen."""
    for each in COUNTED_BY_DAY:
        connection.execute(_filled(_SUBTRACT, each, _GONE, low=_day(frontier)))
        connection.execute(_filled(_DELETE_EMPTY, each, _GONE))
    if COUNTED_BY_DAY:
        connection.execute(_DELETE_MEMBERS)


def rebuild(connection: Connection, table: Aggregate, low: datetime, high: datetime) -> Drift:
    """Make the days of [low, high), two midnights, what raw.events says, rows that are right untouched."""
    events = _RAW.format(low=sql.Literal(low.isoformat()), high=sql.Literal(high.isoformat()))
    filled = _filled(_REBUILD, table, events, low=_day(low), high=_day(high))
    with joined_by_hash(connection):
        [[rows, drift]] = connection.execute(filled).fetchall()
    return Drift(rows, drift)


def _day(moment: datetime) -> sql.Composable:
    return sql.SQL("{}::date").format(sql.Literal(moment.date().isoformat()))


def _filled(text: LiteralString, table: Aggregate, events: sql.Composable, **bounds: sql.Composable) -> sql.Composed:
    """A statement about one table. Its names are the declaration's, its facts a file's: nothing comes from outside."""
    keys = [sql.Identifier(name) for name in table.key]
    listed = sql.SQL(", ").join(keys)
    new = sql.SQL(_FACTS).format(member=day_member(table), keys=listed, events=events, facts=facts(table.name))
    return sql.SQL(text).format(
        new=new,
        table=sql.Identifier(table.schema, table.name),
        name=sql.Literal(table.name),
        count=sql.Identifier(table.count or ""),
        keys=listed,
        new_keys=sql.SQL(", ").join(sql.SQL("new.{}").format(k) for k in keys),
        same_row=sql.SQL(" and ").join(sql.SQL("less.{0} = t.{0}").format(k) for k in keys),
        **bounds,
    )
