"""Brings the database to the newest schema; safe to call from several machines at once and at every start.

What belongs here: how migrations are run, and what follows them: views, the analysts' rights and the processes'.
What does not: their content (`migrations/versions`, `views`, `analyst_role`, `service_role`).
"""

import logging
from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from contract.contract import Contract
from infra.postgres.analyst_role import Analysts, give_access
from infra.postgres.create_views import create_views
from infra.postgres.planted import refuse_planted
from infra.postgres.service_role import ServiceRole, give_rights
from infra.postgres.views import views
from resources import locks
from resources.postgres import Connection as Session
from resources.postgres import Postgres

LOG = logging.getLogger(f"millrace.{__name__}")
VERSION_TABLE_SCHEMA = "ops"
OLDEST_RELEASE = 15


class UnsupportedServerError(Exception):
    """The server or the database is not what Millrace can work with; nothing was changed."""


class UnsupportedReleaseError(UnsupportedServerError):
    """The server is older than what Millrace is tested on."""


class UnsupportedEncodingError(UnsupportedServerError):
    """The database cannot hold every text, or holds bytes of which it does not know what text they are."""


def engine(url: str) -> sqlalchemy.Engine:
    """A SQLAlchemy engine on psycopg 3 for a plain `postgresql://` URL; its sessions are those of `resources`."""
    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _connect(url),
        poolclass=sqlalchemy.NullPool,
    )


def _connect(url: str) -> Session:
    opened = Postgres(url).connect("millrace-migrate", connect_timeout_seconds=10)
    opened.autocommit = False  # as SQLAlchemy expects it of a driver
    return opened


def config(connection: Connection) -> Config:
    """Alembic's configuration, bound to an open connection."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.attributes["connection"] = connection
    return made


def migrate(
    url: str,
    revision: str = "head",
    *,
    contract: Contract | None = None,
    analysts: Analysts | None = None,
    service: ServiceRole | None = None,
) -> None:
    """Run every migration that the database lacks, then bring the views and the analysts' rights up to date.

    A schema that a newer release has made is left as it is: after a rollback the release before runs on it.

    Args:
        url: of the database, as its owner.
        revision: where to stop; for tests of single migrations. Views and rights follow the newest only.
        contract: the types of events that get a view.
        analysts: what the operator decided about the analysts' role.
        service: the role of the processes; None where they are the owner.

    Raises:
        UnsupportedServerError: the server is too old, or the database's encoding is not UTF-8.
        PlantedError: somebody with fewer rights has put code into the database.
        ServiceRoleError: the role of the processes cannot be what it is to be.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    with engine(url).connect() as connection:
        _check_release(connection)
        _check_encoding(connection)
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": locks.MIGRATION})
        connection.execute(text(f"create schema if not exists {VERSION_TABLE_SCHEMA}"))
        connection.commit()
        try:
            refuse_planted(_driver(connection))
            connection.commit()
            if newer := _newer(connection):
                LOG.warning("the schema is that of a newer release (%s) and stays as it is", ", ".join(newer))
                return
            command.upgrade(config(connection), revision)
            connection.commit()
            if revision == "head":
                _follow_up(connection, contract or Contract(), analysts or Analysts(), service)
        finally:
            connection.rollback()
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": locks.MIGRATION})
            connection.commit()


def _check_release(connection: Connection) -> None:
    release = int(connection.execute(text("show server_version_num")).scalar_one()) // 10_000
    if release < OLDEST_RELEASE:
        raise UnsupportedReleaseError(f"PostgreSQL {release} is too old: Millrace needs {OLDEST_RELEASE} or newer")


def _check_encoding(connection: Connection) -> None:
    encoding = connection.execute(text("show server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise UnsupportedEncodingError(
            f"the database's encoding is {encoding}, and Millrace needs UTF8: "
            "create database NAME encoding 'UTF8' template template0"
        )


def _newer(connection: Connection) -> list[str]:
    """Where the database stands, if this release does not know it."""
    context = MigrationContext.configure(connection, opts={"version_table_schema": VERSION_TABLE_SCHEMA})
    known = {each.revision for each in ScriptDirectory.from_config(config(connection)).walk_revisions()}
    return sorted(set(context.get_current_heads()) - known)


def _driver(connection: Connection) -> Session:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("the engine is not on psycopg 3")
    return driver


def _follow_up(connection: Connection, contract: Contract, analysts: Analysts, service: ServiceRole | None) -> None:
    driver = _driver(connection)
    driver.autocommit = True  # what follows begins and ends its own transactions
    try:
        create_views(driver, views(contract))
        if service is not None:
            give_rights(driver, service)
        give_access(driver, analysts)
    finally:
        driver.autocommit = False
