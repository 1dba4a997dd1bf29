"""SQLAlchemy's psycopg 2 for Dagster's tables, on sessions that are what `resources.session` says.

What belongs here: what is done with every new connection, and which errors end one. What does not: the pool (`pool`).

A dialect and no event of an engine: Dagster's stock classes make engines of their own from the URL as well, to create
and to migrate their tables.
"""

import select
from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import URL
from typing_extensions import override

from resources import session
from resources.postgres import GONE

NAME = "millrace"
SCHEMA = "dagster"


class Dialect(PGDialect_psycopg2):
    """psycopg 2, with our settings set after connecting."""

    supports_statement_cache = True

    def __init__(self, statement_timeout: str = "0", **options: Any) -> None:
        """For `create_engine`, which hands over those of its options that are named here."""
        super().__init__(**options)
        self._statement_timeout = statement_timeout

    @override
    def create_connect_args(self, url: URL) -> tuple[list[str], dict[str, Any]]:
        """As stock; and of the environment's settings for sessions none."""
        arguments, named = super().create_connect_args(url)
        return [*map(str, arguments)], {**named, **session.given(dict(named))}

    @override
    def on_connect(self) -> Callable[..., None]:
        """As stock, and then our settings, outside of any transaction."""
        stock = super().on_connect()

        def connected(dbapi_conn: Any) -> None:
            if stock is not None:
                stock(dbapi_conn)
            was, dbapi_conn.autocommit = dbapi_conn.autocommit, True
            with dbapi_conn.cursor() as cursor:
                cursor.execute(session.pins(search_path=SCHEMA, statement_timeout=self._statement_timeout))
            dbapi_conn.autocommit = was

        return connected

    @override
    def do_ping(self, dbapi_connection: Any) -> Literal[True]:
        """Ask the server only where something came unasked: its farewell, or the end of the stream.

        The pool asks before every operation. Each question is a statement, and most operations are one statement.
        """
        arrived = select.poll()
        arrived.register(dbapi_connection.fileno(), select.POLLIN)
        if arrived.poll(0):
            super().do_ping(dbapi_connection)
        return True

    @override
    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """A session with a server that takes no writes (any more) is of no more use than a broken one."""
        state = getattr(e, "pgcode", None)
        return super().is_disconnect(e, connection, cursor) or (state is not None and state.startswith(GONE))


registry.register(f"postgresql.{NAME}", __name__, "Dialect")
