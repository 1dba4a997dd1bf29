"""Tables that are summed over the days of users: one row a user, over all time.

The `.sql` of a table says what each user and day counts. Where a day changes, what it counted is subtracted and what it
counts now is added: the cost is that of the days that change, however many a user has. What belongs here: following the
changes of `user_days`, and rebuilding. What does not: what a fact is (a table's `.sql`).
"""

from collections.abc import Sequence
from typing import LiteralString

from psycopg import sql

from assets.aggregates.catalog import SUMMED_BY_USER, Aggregate
from assets.aggregates.drift import Drift
from assets.aggregates.tables import facts
from resources.postgres import Connection

_NOW = """
    select d.user_id, d.day, d.events, d.logins, d.page_views, d.button_clicks, d.form_submits, d.first_at, d.last_at
    from ops.user_days as d inner join changes as c on d.user_id = c.user_id and d.day = c.day
"""
# Counts in `changes` are differences; a row that is gone has lost all that it had.
_BEFORE = """
    select c.user_id, c.day, coalesce(d.events, 0) - c.events as events, coalesce(d.logins, 0) - c.logins as logins,
        coalesce(d.page_views, 0) - c.page_views as page_views,
        coalesce(d.button_clicks, 0) - c.button_clicks as button_clicks,
        coalesce(d.form_submits, 0) - c.form_submits as form_submits, c.old_first_at as first_at,
        c.old_last_at as last_at
    from changes as c left join ops.user_days as d on c.user_id = d.user_id and c.day = d.day where c.was
"""
_OF_USERS = sql.SQL("select * from ops.user_days where user_id = any({}::text[])")
_FOLLOW = """
with differences as (
    select user_id, {summed} from (
        select user_id, 1 as days, {measures} from (with days as ({now}) {facts}) as f
        union all
        select user_id, -1, {negated} from (with days as ({before}) {facts}) as f
    ) as x group by user_id
)
insert into {table} as t (user_id, {sums}) select user_id, {sums} from differences order by user_id
on conflict (user_id) do update set {added}
"""
# Fewer than none: of a table that lacked these days.
_DELETE_EMPTY = "delete from {table} where days <= 0 and user_id in (select user_id from changes)"
_REBUILD = """
with fresh as materialized (
    select user_id, {summed} from (select 1 as days, f.* from (with days as ({now}) {facts}) as f) as x group by user_id
),
stale as (
    delete from {table} as t where t.user_id = any({users}::text[])
    and not exists (select 1 from fresh where fresh.user_id = t.user_id) returning 1
),
changed as (
    insert into {table} as t (user_id, {sums})
    select user_id, {sums} from fresh
    except select user_id, {sums} from {table} where user_id = any({users}::text[])
    order by user_id
    on conflict (user_id) do update set {replaced} returning 1
)
select (select count(*) from fresh), (select count(*) from stale) + (select count(*) from changed)
"""


def follow(connection: Connection) -> None:
    """Bring every table to what the days in the temporary table `changes`, which are written already, say now."""
    for each in SUMMED_BY_USER:
        connection.execute(_filled(_FOLLOW, each, now=sql.SQL(_NOW), before=sql.SQL(_BEFORE)))
        connection.execute(_filled(_DELETE_EMPTY, each))


def rebuild(table: Aggregate, connection: Connection, users: Sequence[str]) -> Drift:
    """Sum the rows of some users anew."""
    listed = sql.Literal(list(users))
    filled = _filled(_REBUILD, table, now=_OF_USERS.format(listed), users=listed)
    [[rows, drift]] = connection.execute(filled).fetchall()
    return Drift(rows, drift)


def _filled(text: LiteralString, table: Aggregate, **parts: sql.Composable) -> sql.Composed:
    """A statement about one table. Its names are the declaration's, its facts a file's: nothing comes from outside."""

    def each(form: LiteralString, names: Sequence[str] = table.sums) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL(form).format(sql.Identifier(name)) for name in names)

    return sql.SQL(text).format(
        table=sql.Identifier(table.schema, table.name),
        facts=facts(table.name),
        sums=each("{0}"),
        summed=each("sum({0})::bigint as {0}"),
        measures=each("{0}", table.sums[1:]),
        negated=each("-{0}", table.sums[1:]),
        added=each("{0} = t.{0} + excluded.{0}"),
        replaced=each("{0} = excluded.{0}"),
        **parts,
    )
