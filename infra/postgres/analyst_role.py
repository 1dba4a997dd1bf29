"""The analysts' role, `millrace_analyst`: reads `analytics` and `raw.events`, and nothing else.

What belongs here: making the role, its limits, its rights; all of it safe to repeat at every `migrate`.
What does not: which views there are (`views`).

A role belongs to the whole cluster, and several databases may share it: the password is the cluster's, limits and
rights are each database's. A lock of one database does not keep the migration of another out, so what collides is
tried again.
"""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar

import psycopg
from psycopg import sql

from contract.shown import said
from infra.postgres.sql import statement
from resources.postgres import Connection

LOG = logging.getLogger(f"millrace.{__name__}")
T = TypeVar("T")

ROLE = "millrace_analyst"

_CONNECTIONS = 20
# Only a superuser may set these, and nobody else lift them.
_OF_SUPERUSERS = {
    "temp_file_limit": "2GB",  # of a session
    "log_min_messages": "panic",  # an analyst's errors, and what one has printed, are not in the server's log
}
_IDLE = timedelta(minutes=5)
_TRIES = 20
# "tuple concurrently updated", and a role or a setting of it that somebody else has just made.
_COLLISIONS = (
    psycopg.errors.InternalError_,
    psycopg.errors.UniqueViolation,
    psycopg.errors.DuplicateObject,
    psycopg.errors.DeadlockDetected,
)
_GONE_OR_REFUSED = (
    psycopg.errors.InvalidCatalogName,
    psycopg.errors.UndefinedObject,
    psycopg.errors.InsufficientPrivilege,
)
_SETTINGS = """
select coalesce(max(s.setconfig), '{}') from pg_db_role_setting as s
where s.setrole = 'millrace_analyst'::regrole
and s.setdatabase = (select oid from pg_database where datname = current_database())
"""
_NAMES = """
select s.setdatabase <> 0, split_part(c.setting, '=', 1)
from pg_db_role_setting as s, unnest(s.setconfig) as c (setting)
where s.setrole = 'millrace_analyst'::regrole
and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
"""
_NOT_BY_NAME = """
not exists (
    select from pg_database as d, aclexplode(d.datacl) as a
    where d.datname = current_database()
    and a.grantee = 'millrace_analyst'::regrole and a.privilege_type = 'CONNECT'
)
"""
# Everybody has the first two by default. Who runs Millrace keeps them: they are the owner's, not PUBLIC's.
_CHANGES = (
    (
        "has_database_privilege('millrace_analyst', current_database(), 'TEMPORARY')",
        "revoke temporary on database {} from public",
    ),
    (
        "has_schema_privilege('millrace_analyst', to_regnamespace('public'), 'CREATE')",
        "revoke create on schema public from public",
    ),
    (  # by name: what everybody may is taken away by whoever keeps analysts out of other databases
        _NOT_BY_NAME,
        "grant connect on database {} to millrace_analyst",
    ),
)


@dataclass(frozen=True)
class Analysts:
    """What an operator decides about the analysts' role.

    Attributes:
        password: turns the login on; None leaves it as it is, which is off for a role that is made now.
        statement_timeout: how long one query may take.
    """

    password: str | None = field(default=None, repr=False)
    statement_timeout: timedelta = timedelta(seconds=60)


def give_access(connection: Connection, analysts: Analysts) -> None:
    """Make the role if need be, and give it exactly the rights that it is to have.

    What the migrating user may not do is left out, with a warning that says who can.
    """
    if not _again(connection, lambda: _ensure_role(connection)):
        LOG.warning(
            "analysts have no access: the user of MILLRACE_POSTGRES_URL may not make roles. As an administrator:"
            " create role %s; then `millrace migrate` again",
            ROLE,
        )
        return
    try:
        _again(connection, lambda: _configure(connection, analysts))
    except psycopg.errors.InsufficientPrivilege:
        LOG.warning("password and limits of %s are left as they are: this user may not alter it", ROLE)
    _again(connection, lambda: connection.execute(statement("access")))
    if _is(connection, "select rolsuper from pg_roles where rolname = current_user"):
        _again(connection, lambda: _hold_back(connection))
    _keep_out_of_others(connection)
    for held, change in _CHANGES:
        _change_database(connection, held, change)
    for (excess,) in connection.execute(statement("excess")).fetchall():
        LOG.warning("%s %s: the owner of the database, or an administrator, can change that", ROLE, said(excess))


def _ensure_role(connection: Connection) -> bool:
    query = "select exists (select from pg_roles where rolname = %s)"
    if _is(connection, query, ROLE):
        return True
    if not _is(connection, "select rolsuper or rolcreaterole from pg_roles where rolname = current_user"):
        return False
    name, most = sql.Identifier(ROLE), sql.Literal(_CONNECTIONS)
    connection.execute(sql.SQL("create role {} nologin connection limit {}").format(name, most))
    return True


def _configure(connection: Connection, analysts: Analysts) -> None:
    wanted = {
        "default_transaction_read_only": "on",
        "statement_timeout": str(round(analysts.statement_timeout / timedelta(milliseconds=1))),
        "idle_in_transaction_session_timeout": str(round(_IDLE / timedelta(milliseconds=1))),
        "search_path": "analytics, raw",
        "TimeZone": "UTC",
    }
    _forget_others(connection, {*wanted, *_OF_SUPERUSERS})
    present = {str(each) for (listed,) in connection.execute(_SETTINGS) for each in listed}
    for name, value in wanted.items():
        if f"{name}={value}" not in present:
            _set(connection, name, value)
    if analysts.password is not None:
        _let_in(connection, analysts.password)


def _forget_others(connection: Connection, wanted: Collection[str]) -> None:
    """Take back the settings that the role has made for itself, here and for all databases."""
    for here, name in connection.execute(_NAMES).fetchall():
        if here and name in wanted:
            continue
        where = sql.SQL("in database {}").format(_database(connection)) if here else sql.SQL("")
        change = sql.SQL("alter role {} {} reset {}").format(sql.Identifier(ROLE), where, sql.Identifier(str(name)))
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():  # an administrator's
            connection.execute(change)


def _set(connection: Connection, name: str, value: str) -> None:
    values = sql.SQL(", ").join(map(sql.Literal, value.split(", ")))
    change = sql.SQL("alter role {} in database {} set {} = {}")
    parts = sql.Identifier(ROLE), _database(connection), sql.Identifier(name), values
    connection.execute(change.format(*parts))


def _hold_back(connection: Connection) -> None:
    """What only a superuser can take from a role: it is everybody's, or everybody may set it."""
    for (change,) in connection.execute(statement("held_back")).fetchall():
        connection.execute(str(change).encode())
    present = {str(each) for (listed,) in connection.execute(_SETTINGS) for each in listed}
    for name, value in _OF_SUPERUSERS.items():
        if f"{name}={value}" not in present:
            _set(connection, name, value)


def _keep_out_of_others(connection: Connection) -> None:
    """Each by itself: a database may go meanwhile, and one that cannot be closed leaves the others."""
    for (change,) in connection.execute(statement("elsewhere")).fetchall():
        with suppress(*_GONE_OR_REFUSED):  # the warning about what is left follows
            _again(connection, partial(connection.execute, str(change).encode()))


def _let_in(connection: Connection, password: str) -> None:
    """The server is sent a SCRAM verifier: its logs and statistics may quote it, and it is not the password."""
    verifier = connection.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
    change = sql.SQL("alter role {} login password {}")
    connection.execute(change.format(sql.Identifier(ROLE), sql.Literal(verifier)))


def _change_database(connection: Connection, needed: str, change: str) -> None:
    if not _is(connection, f"select coalesce({needed}, false)"):
        return
    try:
        with connection.transaction():
            connection.execute(change.replace("{}", _database(connection).as_string(connection)).encode())
    except psycopg.errors.InsufficientPrivilege:
        pass  # the warning about what is left follows


def _again(connection: Connection, work: Callable[[], T]) -> T:
    for _ in range(_TRIES):
        try:
            with connection.transaction():
                return work()
        except _COLLISIONS:
            time.sleep(0.05)
    with connection.transaction():
        return work()


def _database(connection: Connection) -> sql.Identifier:
    return sql.Identifier(connection.info.dbname)


def _is(connection: Connection, query: str, *arguments: str) -> bool:
    row = connection.execute(query.encode(), arguments or None).fetchone()
    return row is not None and bool(row[0])
