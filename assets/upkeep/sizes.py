"""How large tables are, for the user interface: figures and a Markdown table.

What belongs here: sizes by the catalog. What does not: what makes them smaller (the other modules here).
"""

from typing import Any, NamedTuple

import dagster as dg

from assets.aggregates.preview import markdown_table
from assets.upkeep.sql import statement
from resources.postgres import Connection

_MEGABYTE = 1_000_000


class Size(NamedTuple):
    """A table with its indexes; rows are PostgreSQL's estimates."""

    table: str
    bytes: int
    live_rows: int
    dead_rows: int


def sizes(connection: Connection, schema: str) -> list[Size]:
    """The twenty largest tables of a schema, the largest first; partitions are added up. None without the schema."""
    return [Size(*row) for row in connection.execute(statement("table_sizes"), {"schema": schema})]


def metadata(connection: Connection, schema: str) -> dict[str, Any]:
    """The sizes as metadata of an asset."""
    found = sizes(connection, schema)
    rows = [(f"{schema}.{s.table}", f"{s.bytes / _MEGABYTE:,.1f} MB", s.live_rows, s.dead_rows) for s in found]
    table = markdown_table(("table", "size", "rows, about", "dead rows, about"), rows)
    return {
        f"{schema}_megabytes": round(sum(s.bytes for s in found) / _MEGABYTE, 1),
        f"{schema}_tables": dg.MetadataValue.md(table),
    }
