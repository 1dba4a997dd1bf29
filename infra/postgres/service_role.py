"""The role of the processes: what workers, daemon, code server and web server need in the database, and no more.

What belongs here: making it, its password, its rights; all of it safe to repeat at every `migrate`. What does not:
which rights these are (`sql/service_rights.sql`), and the analysts' role (`analyst_role`).

Only for who wants it: with MILLRACE_MIGRATE_POSTGRES_URL unset, the processes are the owner.
"""

from dataclasses import dataclass, field

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from contract.shown import said
from infra.postgres.sql import statement
from resources.postgres import Connection

_MORE_THAN_PLAIN = """
select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls from pg_roles where rolname = %s
"""
_MEMBER = "select rolsuper or pg_has_role(rolname, %s::name, 'usage') from pg_roles where rolname = current_user"


class ServiceRoleError(Exception):
    """The role cannot be what it is to be; the text says why in one line, fit to be printed."""


@dataclass(frozen=True)
class ServiceRole:
    """The role that MILLRACE_POSTGRES_URL names.

    Attributes:
        role: its name.
        password: it gets this one; None leaves it as it is (a certificate, a password file).
    """

    role: str
    password: str | None = field(default=None, repr=False)


def service_of(url: str, owner_url: str) -> ServiceRole:
    """The role that a URL names.

    Args:
        url: of the database, as the processes have it.
        owner_url: of the same database, as its owner.

    Raises:
        ServiceRoleError: no role is named, or the two name different databases.
    """
    processes, owner = (conninfo_to_dict(each) for each in (url, owner_url))
    if not processes.get("user"):
        raise ServiceRoleError("MILLRACE_POSTGRES_URL names no user, so no role can be given rights")
    if processes.get("dbname") != owner.get("dbname"):
        raise ServiceRoleError("MILLRACE_POSTGRES_URL and MILLRACE_MIGRATE_POSTGRES_URL name different databases")
    password = processes.get("password")
    return ServiceRole(str(processes["user"]), None if password is None else str(password))


def give_rights(connection: Connection, service: ServiceRole) -> None:
    """Make the role if need be, and give it exactly the rights that it is to have; all of it or nothing.

    Raises:
        ServiceRoleError: it has more rights already, or the migrating user may not do it.
        psycopg.errors.LockNotAvailable: somebody uses raw.events for long, the first time; nothing was done.
    """
    try:
        with connection.transaction():
            connection.execute("set local lock_timeout = '10s'")
            _ensure(connection, service)
            changes = connection.execute(statement("service_rights"), {"role": service.role}).fetchall()
            for (change,) in changes:
                connection.execute(str(change).encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise ServiceRoleError(
            f"role {service.role}: {said(error.diag.message_primary)}. As an administrator: create role"
            f" {service.role} login; grant {service.role} to {connection.info.user}; then `millrace migrate` again"
        ) from None


def _ensure(connection: Connection, service: ServiceRole) -> None:
    if service.role == connection.info.user:
        raise ServiceRoleError(f"{service.role} migrates, so it cannot be the role with fewer rights")
    name = sql.Identifier(service.role)
    found = connection.execute(_MORE_THAN_PLAIN, (service.role,)).fetchone()
    if found is None:
        connection.execute(sql.SQL("create role {} login").format(name))
    elif found[0]:
        raise ServiceRoleError(f"{service.role} is more than a plain role: it may bypass what is taken from it")
    if service.password is not None:
        _let_in(connection, service, service.password)
    # To hand a table over, and to alter it in later migrations, its owner must be a member of the new one.
    if connection.execute(_MEMBER, (service.role,)).fetchone() != (True,):
        connection.execute(sql.SQL("grant {} to {}").format(name, sql.Identifier(connection.info.user)))


def _let_in(connection: Connection, service: ServiceRole, password: str) -> None:
    """The server is sent a SCRAM verifier: its logs and statistics may quote it, and it is not the password."""
    verifier = connection.pgconn.encrypt_password(password.encode(), service.role.encode(), b"scram-sha-256").decode()
    change = sql.SQL("alter role {} login password {}")
    connection.execute(change.format(sql.Identifier(service.role), sql.Literal(verifier)))
