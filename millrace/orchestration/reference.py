"""Writes `docs/tables.md`: every table and view, by schema, those that analysts read first.

What belongs here: laying out what the metadata and the views say. What does not: texts about single tables (they are
COMMENTs, in `infra.postgres.tables` and `infra.postgres.views`).
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from millrace.events.contract import Contract
from millrace.infra.postgres.tables import metadata
from millrace.infra.postgres.views import SCHEMA, View, views

_SCHEMAS = {
    "analytics": "What analysts read; how to: [analysts.md](analysts.md).",
    "raw": "The events, which analysts read too, and the records that are no events, of which they see the code only.",
    "ops": "Millrace's own books. Analysts do not see them.",
}
_HEAD = ("| column | type | meaning |", "|---|---|---|")


def tables(generated: str) -> str:
    """The text of `docs/tables.md`.

    Args:
        generated: the line that says that it is.
    """
    lines = [
        "# Tables and views",
        "",
        f"{generated} The same texts are COMMENTs in the database. All times are UTC.",
        "",
    ]
    for schema, about in _SCHEMAS.items():
        lines += [f"## Schema `{schema}`", "", about, ""]
        for table in metadata.sorted_tables:
            if table.schema == schema:
                lines += _table(table)
        if schema == SCHEMA:
            for view in views(Contract()):
                lines += _view(view)
    return "\n".join(lines)


def _table(table: Table) -> Iterator[str]:
    key = ", ".join(column.name for column in table.primary_key.columns)
    dialect: Any = postgresql.dialect()
    yield from (f"### `{table.schema}.{table.name}`", "", f"{table.comment} Key: `{key}`.", "", *_HEAD)
    for column in table.columns:
        kind = column.type.compile(dialect).lower() + ("" if column.nullable else " not null")
        yield _row(column.name, kind, str(column.comment))
    yield ""


def _view(view: View) -> Iterator[str]:
    yield from (f"### `{SCHEMA}.{view.name}`", "", f"{view.comment} A view; one row per {view.grain}.", "", *_HEAD)
    yield from (_row(column.name, column.type, column.comment) for column in view.columns)
    yield ""


def _row(name: str, kind: str, meaning: str) -> str:
    return f"| `{name}` | {kind} | {meaning.replace('|', chr(92) + '|')} |"
