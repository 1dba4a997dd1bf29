"""The aggregates, each declared in one module, `DECLARED`; the `.sql` that selects its facts stands beside it.

A module more is a table more: `catalog` finds it. No other logic here than the loading of the facts.
"""

from psycopg import sql

from resources.sql import loader

_statement = loader(__name__)


def facts(name: str) -> sql.SQL:
    """What a table's `.sql` selects."""
    return sql.SQL(_statement(name).decode())  # pyright: ignore[reportArgumentType] - a file of ours
