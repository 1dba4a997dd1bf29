"""Plans that do not depend on luck: what keeps a wrong estimate from making a statement quadratic.

What belongs here: settings for one statement of a transaction, and bounds that the planner sees. What does not: the
statements, whose lookups are laterals with `offset 0` (one index range a row, whatever the planner believes) and whose
other joins are by equality.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import LiteralString

from psycopg import sql

from assets.aggregates.sql import statement
from resources.postgres import Connection

NOTHING: Mapping[str, LiteralString] = MappingProxyType({})


@contextmanager
def joined_by_hash(connection: Connection) -> Generator[None]:
    """Statements inside join by hash, laterals apart.

    A table without statistics, or with those of an hour ago, is estimated at one row; then a nested loop looks cheapest
    and reads all of one side for each row of the other. Hashing costs both sides once, whatever their sizes are. A
    merge sorts them, which costs more; it looks cheaper where the planner takes keys without statistics for few.
    """
    connection.execute("set local enable_nestloop = off; set local enable_mergejoin = off")
    yield  # after an error the transaction is over, and the settings with it
    connection.execute("set local enable_nestloop = on; set local enable_mergejoin = on")


def bounded(name: str, low: datetime, high: datetime, more: Mapping[str, LiteralString] = NOTHING) -> sql.Composed:
    """A statement with its bounds, `low` and `high`, as literals, so that the planner leaves partitions out.

    Args:
        name: of the file.
        low: inclusive.
        high: exclusive.
        more: what stands in place of comments of the file.
    """
    bounds = {"low": sql.Literal(low.isoformat()), "high": sql.Literal(high.isoformat())}
    text = statement(name).decode()
    for comment, condition in more.items():
        text = text.replace(comment, condition)
    for each in bounds:
        text = text.replace(f"%({each})s", f"{{{each}}}")
    return sql.SQL(text).format(**bounds)  # pyright: ignore[reportArgumentType] - a file of ours
