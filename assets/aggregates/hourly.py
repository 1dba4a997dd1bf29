"""Tables that count facts by hour: events, pages, referrers, buttons, forms; events of a kind and distinct users.

A table's `.sql` says what its facts are: hour, key and user of each event that counts. What belongs here: the three
things that are done with facts, the same for every table. What does not: what a fact is.
"""

from datetime import datetime
from typing import LiteralString

from psycopg import sql

from assets.aggregates.catalog import COUNTED, Aggregate
from assets.aggregates.drift import Drift
from assets.aggregates.plans import joined_by_hash
from assets.aggregates.tables import facts
from resources.postgres import Connection

_RAW = """
    select date_trunc('hour', r.occurred_at, 'UTC') as hour, r.type, r.user_id, r.payload
    from raw.events as r where r.occurred_at >= {low} and r.occurred_at < {high}
"""
_ADD = """
with old as (select distinct {keys}, user_id from (with events as (select * from earlier) {facts}) as f),
new as (select {keys}, user_id, count(*) as n from (with events as (select * from arrived) {facts}) as f
    group by {keys}, user_id)
insert into {table} as t ({keys}, {count}, users)
select {new_keys}, sum(new.n), count(*) filter (where old.user_id is null)
from new left join old on {same_user} group by {new_keys} order by {new_keys}
on conflict ({keys}) do update set {count} = t.{count} + excluded.{count}, users = t.users + excluded.users
"""
_SUBTRACT = """
with old as (select distinct {keys}, user_id from (with events as (select * from earlier) {facts}) as f),
new as (select {keys}, user_id, count(*) as n from (with events as (select * from gone where hour >= {low}) {facts})
    as f group by {keys}, user_id),
less as (select {new_keys}, sum(new.n) as n, count(*) filter (where old.user_id is null) as users
    from new left join old on {same_user} group by {new_keys})
update {table} as t set {count} = t.{count} - less.n, users = t.users - less.users
from less where {same_row}
"""
_DELETE_EMPTY = "delete from {table} where {count} = 0 and hour in (select hour from gone)"
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
    insert into {table} as t ({keys}, {count}, users) select {keys}, {count}, users from fresh
    on conflict ({keys}) do update set {count} = excluded.{count}, users = excluded.users
    where (t.{count}, t.users) is distinct from (excluded.{count}, excluded.users) returning 1
)
select (select count(*) from fresh), (select count(*) from stale) + (select count(*) from changed)
"""


def merge(connection: Connection) -> None:
    """Add what arrived to every table; `earlier` tells which users were counted before."""
    with joined_by_hash(connection):
        for each in COUNTED:
            connection.execute(_filled(_ADD, each))


def rebuild(connection: Connection, table: Aggregate, low: datetime, high: datetime) -> Drift:
    """Make the hours of [low, high) what raw.events says, rows that are right untouched."""
    bounds = {"low": sql.Literal(low.isoformat()), "high": sql.Literal(high.isoformat())}
    [[rows, drift]] = connection.execute(_filled(_REBUILD, table, **bounds)).fetchall()
    return Drift(rows, drift)


def forget(connection: Connection, frontier: datetime) -> None:
    """Subtract what is gone; `earlier` tells which users still count. Hours before the frontier are frozen."""
    for each in COUNTED:
        connection.execute(_filled(_SUBTRACT, each, low=sql.Literal(frontier.isoformat())))
        connection.execute(_filled(_DELETE_EMPTY, each))


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
        same_user=pairs.join(sql.SQL("old.{0} = new.{0}").format(k) for k in [*keys, sql.Identifier("user_id")]),
        same_row=pairs.join(sql.SQL("less.{0} = t.{0}").format(k) for k in keys),
        raw=raw,
        **bounds,
    )
