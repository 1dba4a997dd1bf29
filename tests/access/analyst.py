"""An analyst, for tests: logs in as the role, and asks.

What belongs here: connecting. What does not: what the role may (`test_role`).
"""

from typing import Any

import psycopg

from infra.postgres.analyst_role import ROLE
from tests.support.world import World

PASSWORD = "an analyst's \\ password, with ü"


def connect(world: World) -> psycopg.Connection[tuple[Any, ...]]:
    """A session of the role, in autocommit mode."""
    return psycopg.connect(world.settings.postgres_url, user=ROLE, password=PASSWORD, autocommit=True)


def ask(world: World, query: str, *before: str) -> list[tuple[Any, ...]]:
    """The rows of a query in a new session, after some other statements."""
    with connect(world) as session:
        for statement in before:
            session.execute(statement.encode())
        cursor = session.execute(query.encode())
        return cursor.fetchall() if cursor.description else []
