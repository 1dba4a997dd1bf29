"""Makes the views of `views` in a database: those that are missing or different. Views of removed types are dropped.

What belongs here: comparing and replacing. What does not: what the views are (`views`).

Nothing is remembered between two calls: each view is made under another name first, and PostgreSQL says whether the
two are the same. So a view that somebody changed by hand is put right too.
"""

import logging
from collections.abc import Collection

import psycopg
from psycopg import sql

from contract.shown import said
from infra.postgres.views import MADE_BY, SCHEMA, View
from resources.postgres import Connection

LOG = logging.getLogger(f"millrace.{__name__}")

_CANDIDATE = "millrace_candidate"
# Another view stands on it, or a query that runs for long: that must not keep the ingest from starting.
_IN_THE_WAY = (
    psycopg.errors.DependentObjectsStillExist,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
)
_SHAPE = """
select
    pg_get_viewdef(c.oid),
    array_agg(format('%%s %%s', a.attname, format_type(a.atttypid, a.atttypmod)) order by a.attnum),
    obj_description(c.oid, 'pg_class'),
    array_agg(col_description(c.oid, a.attnum) order by a.attnum)
from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
where c.relnamespace = to_regnamespace(%s) and c.relname = %s and c.relkind = 'v'
group by c.oid
"""
_RELATIONS = """
select relname, relkind = 'v' and coalesce(obj_description(oid, 'pg_class'), '') like %s
from pg_class where relnamespace = to_regnamespace(%s) and relkind in ('v', 'r', 'p', 'm', 'f', 'S')
"""
_GRANTS = """
select format(
    'grant %%s on %%s to %%s%%s',
    g.privilege_type, c.oid::regclass, case g.grantee when 0 then 'public' else g.grantee::regrole::text end,
    case when g.is_grantable then ' with grant option' else '' end
)
from pg_class as c cross join lateral aclexplode(c.relacl) as g
where c.relnamespace = to_regnamespace(%s) and c.relname = %s and c.relkind = 'v' and g.grantee <> c.relowner
"""


def create_views(connection: Connection, wanted: Collection[View]) -> list[str]:
    """Bring the views of schema `analytics` up to date, in one transaction; grants on them are kept.

    A view that other views stand on, or that a query holds for more than ten seconds, stays as it is, with a warning;
    so does a relation of the same name that is not ours.

    Returns:
        The names of the views that were made, made anew or dropped.
    """
    with connection.transaction():
        connection.execute("set local lock_timeout = '10s'")
        found = {str(name): bool(ours) for name, ours in connection.execute(_RELATIONS, (f"%{MADE_BY}%", SCHEMA))}
        gone = {name for name, ours in found.items() if ours} - {view.name for view in wanted}
        changed = [name for name in sorted(gone) if _replace(connection, name, None)]
        return changed + [view.name for view in wanted if _follow(connection, view, is_ours=found.get(view.name))]


def drop_views(connection: Connection) -> list[str]:
    """Drop all views that are ours; for migrations that change what they stand on."""
    return create_views(connection, ())


def _follow(connection: Connection, view: View, *, is_ours: bool | None) -> bool:
    if is_ours is False:
        LOG.warning("%s.%s is not ours: the view of that name is not made", SCHEMA, view.name)
        return False
    _create(connection, view, _CANDIDATE)
    wanted, present = (connection.execute(_SHAPE, (SCHEMA, n)).fetchone() for n in (_CANDIDATE, view.name))
    connection.execute(sql.SQL("drop view {}").format(sql.Identifier(SCHEMA, _CANDIDATE)))
    return wanted != present and _replace(connection, view.name, view)


def _replace(connection: Connection, name: str, view: View | None) -> bool:
    """Drop a view and make it anew, both or none; with None, only drop it."""
    grants = [str(row[0]) for row in connection.execute(_GRANTS, (SCHEMA, name))]
    try:
        with connection.transaction():
            connection.execute(sql.SQL("drop view if exists {}").format(sql.Identifier(SCHEMA, name)))
            if view is not None:
                _create(connection, view, name)
                for grant in grants:
                    connection.execute(grant.encode())
    except _IN_THE_WAY as error:
        what = said(error.diag.message_detail or error.diag.message_primary)
        LOG.warning("%s.%s stays as it is until the next `millrace migrate`: %s", SCHEMA, name, what)
        return False
    return True


def _create(connection: Connection, view: View, name: str) -> None:
    target = sql.Identifier(SCHEMA, name)
    connection.execute(sql.SQL("create view {} as {}").format(target, sql.SQL(view.query)))  # pyright: ignore[reportArgumentType]
    connection.execute(sql.SQL("comment on view {} is {}").format(target, sql.Literal(view.comment)))
    for column in view.columns:
        place = sql.Identifier(SCHEMA, name, column.name)
        connection.execute(sql.SQL("comment on column {} is {}").format(place, sql.Literal(column.comment)))
