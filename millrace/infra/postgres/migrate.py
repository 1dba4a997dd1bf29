"""Brings the database to the newest schema; safe to call from several machines at once and at every start.

What belongs here: how migrations are run. What does not: their content (`migrations/versions`).
"""

from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

VERSION_TABLE_SCHEMA = "ops"
# One arbitrary number for the advisory lock that lets a single migration through at a time.
_LOCK = 0x4D494C4C


def engine(url: str) -> sqlalchemy.Engine:
    """A SQLAlchemy engine on psycopg 3 for a plain `postgresql://` URL."""
    return sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"),
        connect_args={"connect_timeout": 10, "application_name": "millrace-migrate"},
        poolclass=sqlalchemy.NullPool,
    )


def config(connection: Connection) -> Config:
    """Alembic's configuration, bound to an open connection."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.attributes["connection"] = connection
    return made


def migrate(url: str, revision: str = "head") -> None:
    """Run every migration that the database lacks.

    Args:
        url: of the database, as its owner.
        revision: where to stop; for tests of single migrations.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    with engine(url).connect() as connection:
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text(f"create schema if not exists {VERSION_TABLE_SCHEMA}"))
        connection.commit()
        try:
            command.upgrade(config(connection), revision)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.commit()
