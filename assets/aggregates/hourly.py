"""Tables that count facts by hour: events, pages, referrers, buttons, forms; events of a kind and distinct users.

A table's `.sql` says what its facts are: hour, key and user of each event that counts. What belongs here: the three
things that are done with facts, the same for every table, and who is counted already. What does not: what a fact is.

Who is counted already in hours of recent days says ops.hour_members: a row for each hour, table, key and user, inserted
`on conflict do nothing`; what was really inserted is by how much `users` grows, whatever the hour holds. An hour is
tracked from its first event on, or not at all: then the users' other events in it are read from raw.events.
"""

from datetime import datetime, timedelta
from typing import LiteralString

import psycopg
from psycopg import sql

from assets.aggregates import members
from assets.aggregates.catalog import COUNTED, Aggregate
from assets.aggregates.drift import Drift
from assets.aggregates.plans import bounded, joined_by_hash
from assets.aggregates.sql import statement
from assets.aggregates.tables import facts
from resources.postgres import Connection

_RAW = """
    select date_trunc('hour', r.occurred_at, 'UTC') as hour, r.type, r.user_id, r.payload
    from raw.events as r where r.occurred_at >= {low} and r.occurred_at < {high}
"""
_ADD = """
with new as materialized (
    select f.*, h.slot, h.number, h.tracked, {member} as member
    from (
        select {keys}, user_id, count(*) as n from (with events as (select * from arrived) {facts}) as e
        group by {keys}, user_id
    ) as f inner join arrived_hours as h on f.hour = h.hour
),
first as (
    insert into ops.hour_members (slot, hour, member)
    select slot, number, member from new where tracked order by slot, number, member
    on conflict do nothing returning hour, member
),
old as (select distinct {keys}, user_id from (with events as (select * from earlier) {facts}) as e)
insert into {table} as t ({keys}, {count}, users)
select {new_keys}, sum(new.n),
    count(*) filter (where first.member is not null or not new.tracked and old.user_id is null)
from new left join first on new.number = first.hour and new.member = first.member left join old on {same_user}
group by {new_keys} order by {new_keys}
on conflict ({keys}) do update set {count} = t.{count} + excluded.{count}, users = t.users + excluded.users
"""
_SUBTRACT = """
with old as (select distinct {keys}, user_id from (with events as (select * from earlier) {facts}) as e),
new as (select {keys}, user_id, count(*) as n from (with events as (select * from gone where hour >= {low}) {facts})
    as e group by {keys}, user_id),
less as (select {new_keys}, sum(new.n) as n, count(*) filter (where old.user_id is null) as users
    from new left join old on {same_user} group by {new_keys})
update {table} as t set {count} = t.{count} - less.n, users = t.users - less.users
from less where {same_row}
"""
_FORGET = """
with old as (select distinct {keys}, user_id from (with events as (select * from earlier) {facts}) as e),
new as (select distinct {keys}, user_id from (with events as (select * from gone) {facts}) as e),
less as (
    select {slot} as slot, {number} as number, {member} as member
    from (select new.* from new left join old on {same_user} where old.user_id is null) as f
)
delete from ops.hour_members as m using less
where m.slot = less.slot and m.hour = less.number and m.member = less.member
"""
# How many events an hour has when all its members are here: where it has others, a release that knows no members has
# changed it. One hour at a time, by the key: no plan could read all members.
_HOUR_EVENTS = """
select f.slot, f.number, (select sum(e.events) from analytics.events_hourly as e where e.hour = f.hour)
from (select {slot} as slot, {number} as number, f.hour from (select distinct hour from {hours}) as f) as f
inner join lateral (
    select 1 from ops.hour_members as m where m.slot = f.slot and m.hour = f.number and m.member = {whole} offset 0
) as m on true
"""
_NOTE_EVENTS = (
    "update ops.hour_members set events = {events} where slot = {slot} and hour = {hour} and member = {whole}"
)
_DROP_OUTDATED = """
delete from ops.hour_members where slot = {slot} and hour = {hour} and exists (
    select 1 from ops.hour_members as w
    where w.slot = {slot} and w.hour = {hour} and w.member = {whole} and w.events is distinct from {events}
)
"""
_WHOLE = sql.SQL("'00000000-0000-0000-0000-000000000000'::uuid")
_DELETE_EMPTY = "delete from {table} where {count} = 0 and hour = any(array(select distinct hour from gone))"
# Members say how the table grows; where it was wrong they may be, too: late events read raw.events from now on.
_UNTRACK = """
delete from ops.hour_members where slot = any(array[0, 1, 2, 3, 4, 5, 6, 7]::smallint[])
and hour >= (extract(epoch from {low}::timestamptz) / 3600)::integer
and hour < (extract(epoch from {high}::timestamptz) / 3600)::integer
"""
_FULL_SLOTS = "select distinct slot from arrived_hours where begins and other_day"
_TAKE_SLOT = "update arrived_hours set tracked = false where slot = %(slot)s"
_LEAVE_SLOT = "update arrived_hours set begins = false where slot = %(slot)s"
_REBUILD = """
with fresh as materialized (
    select {keys}, sum(n)::bigint as {count}, count(*) as users
    from (select {keys}, user_id, count(*) as n from (with events as ({raw}) {facts}) as f group by {keys}, user_id)
        as per_user
    group by {keys}
),
stale as (
    delete from {table} as t where t.hour >= {low} and t.hour < {high}
    and not exists (select 1 from fresh as less where {same_row}) returning 1
),
changed as (
    insert into {table} as t ({keys}, {count}, users)
    select {keys}, {count}, users from fresh
    except select {keys}, {count}, users from {table} where hour >= {low} and hour < {high}
    order by {keys}
    on conflict ({keys}) do update set {count} = excluded.{count}, users = excluded.users returning 1
)
select (select count(*) from fresh), (select count(*) from stale) + (select count(*) from changed)
"""


def merge(connection: Connection, low: datetime, high: datetime) -> None:
    """Add what arrived, which lies in [low, high), to every table."""
    if not _track_hours(connection):
        _find_earlier(connection, low, high)
    with joined_by_hash(connection):
        for each in COUNTED:
            connection.execute(_filled(_ADD, each))
    _of_hours(connection, _NOTE_EVENTS, "(select hour from arrived_hours where tracked) as t")


def _track_hours(connection: Connection) -> bool:
    """Find out which hours are tracked, and begin with those that have no event yet; whether all are tracked then."""
    connection.execute(statement("hours_tracked"))
    for (slot,) in connection.execute(_FULL_SLOTS).fetchall():
        change = _TAKE_SLOT if _emptied(connection, slot) else _LEAVE_SLOT
        connection.execute(change, {"slot": slot})
    connection.execute(statement("hours_begun"))
    connection.execute("update arrived_hours set tracked = true where begins")
    [[rest]] = connection.execute("select count(*) from arrived_hours where not tracked").fetchall()
    return not rest


def _emptied(connection: Connection, slot: int) -> bool:
    """Empty a slot; not if somebody reads it, a backup say: then the hours of the new day are not tracked yet."""
    table = sql.Identifier("ops", f"hour_members_{slot}")
    try:
        with connection.transaction():
            connection.execute("set local lock_timeout = '200ms'")
            connection.execute(sql.SQL("truncate {}").format(table))
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def _find_earlier(connection: Connection, low: datetime, high: datetime) -> None:
    """Fill `earlier`: what the tables hold already of the users in `arrived`, in hours that are not tracked."""
    start = low.replace(minute=0, second=0, microsecond=0)
    with joined_by_hash(connection):
        connection.execute(bounded("earlier", start, high + timedelta(hours=1)))
    connection.execute("analyze earlier")


def rebuild(connection: Connection, table: Aggregate, low: datetime, high: datetime) -> Drift:
    """Make the hours of [low, high) what raw.events says, rows that are right untouched."""
    bounds = {"low": sql.Literal(low.isoformat()), "high": sql.Literal(high.isoformat())}
    with joined_by_hash(connection):
        [[rows, drift]] = connection.execute(_filled(_REBUILD, table, **bounds)).fetchall()
    if drift:
        connection.execute(sql.SQL(_UNTRACK).format(**bounds))
    return Drift(rows, drift)


def forget(connection: Connection, frontier: datetime) -> None:
    """Subtract what is gone; `earlier` tells which users still count. Hours before the frontier are frozen."""
    _of_hours(connection, _DROP_OUTDATED, "gone")
    for each in COUNTED:
        connection.execute(_filled(_SUBTRACT, each, low=sql.Literal(frontier.isoformat())))
        connection.execute(_filled(_FORGET, each))
        connection.execute(_filled(_DELETE_EMPTY, each))
    _of_hours(connection, _NOTE_EVENTS, "gone")


def _of_hours(connection: Connection, change: LiteralString, hours: LiteralString) -> None:
    """Change the members of each hour that is tracked: those of eight days at most."""
    there = sql.SQL(_HOUR_EVENTS).format(
        slot=members.SLOT, number=members.HOUR_NUMBER, hours=sql.SQL(hours), whole=_WHOLE
    )
    for slot, hour, events in connection.execute(there).fetchall():
        connection.execute(sql.SQL(change).format(slot=slot, hour=hour, events=events, whole=_WHOLE))


def _filled(text: LiteralString, table: Aggregate, **bounds: sql.Composable) -> sql.Composed:
    """A statement about one table. Its names are the catalog's, its facts a file's: nothing comes from outside."""
    keys = [sql.Identifier(name) for name in table.key]
    raw = sql.SQL(_RAW).format(**bounds) if "high" in bounds else sql.SQL("")
    pairs = sql.SQL(" and ")
    return sql.SQL(text).format(
        table=sql.Identifier(table.schema, table.name),
        count=sql.Identifier(table.count or ""),
        keys=sql.SQL(", ").join(keys),
        new_keys=sql.SQL(", ").join(sql.SQL("new.{}").format(k) for k in keys),
        facts=facts(table.name),
        member=members.hour_member(table),
        slot=members.SLOT,
        number=members.HOUR_NUMBER,
        same_user=pairs.join(sql.SQL("old.{0} = new.{0}").format(k) for k in [*keys, sql.Identifier("user_id")]),
        same_row=pairs.join(sql.SQL("less.{0} = t.{0}").format(k) for k in keys),
        raw=raw,
        **bounds,
    )
