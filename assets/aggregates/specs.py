"""The aggregates as Dagster shows them: descriptions, columns, lineage, owners, groups.

What belongs here: an `AssetSpec` for each table and view. What does not: how they are made (`assets`), and their texts:
those are in the declarations (`tables`) and the docstrings of the event structs.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

import dagster as dg
from sqlalchemy import Column
from sqlalchemy.dialects import postgresql

from assets.aggregates import sql, tables
from assets.aggregates.catalog import AGGREGATES, Aggregate

_DIALECT: Any = postgresql.dialect()


def key_of(table: str) -> dg.AssetKey:
    """The asset of a table that is named with its schema."""
    return dg.AssetKey(table.split("."))


def asset_key(name: str) -> dg.AssetKey:
    """The asset of an aggregate."""
    return key_of(AGGREGATES[name].table)


def spec(name: str, owners: Iterable[str]) -> dg.AssetSpec:
    """An aggregate as an asset, with all that is known of it before it is made."""
    aggregate = AGGREGATES[name]
    return dg.AssetSpec(
        key_of(aggregate.table),
        deps=[key_of(table) for table in aggregate.upstream],
        group_name=aggregate.group,
        owners=list(owners),
        kinds={"postgres", "sql"},
        description=_description(aggregate),
        metadata=_metadata(aggregate),
        tags={"grain": aggregate.grain},
    )


def _description(aggregate: Aggregate) -> str:
    key = ", ".join(f"`{column}`" for column in aggregate.key)
    return (
        f"{aggregate.relation.comment}\n\n"
        f"Grain: {aggregate.grain}; one row for each {key}. Table `{aggregate.table}`. All times are UTC.\n\n"
        "How to query it: docs/analysts.md. If it is behind: docs/runbook.md, MillraceAggregatesStale."
    )


def _metadata(aggregate: Aggregate) -> dict[str, Any]:
    found: dict[str, Any] = {
        "dagster/table_name": aggregate.table,
        "dagster/column_schema": dg.TableSchema(columns=[_column(aggregate, c) for c in aggregate.columns.values()]),
        "dagster/column_lineage": _lineage(aggregate),
    }
    if text := _definition(aggregate.name):
        found["definition"] = dg.MetadataValue.md(f"```sql\n{text}\n```")
    return found


@cache
def _definition(name: str) -> str | None:
    """The `.sql` file that bears the table's name: its facts, or the statement that brings it up to date."""
    files = (resources.files(package).joinpath(f"{name}.sql") for package in (tables, sql))
    return next((file.read_text() for file in files if file.is_file()), None)


def _column(aggregate: Aggregate, column: Column[Any]) -> dg.TableColumn:
    # The user interface shows lineage by column nowhere by itself: it is said in the description, too.
    sources = ", ".join(f"{table}.{name}" for table, name in aggregate.sources(column.name))
    return dg.TableColumn(
        column.name,
        type=column.type.compile(_DIALECT).lower(),
        description=f"{column.comment} ← {sources}",
        constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
        tags={"key": ""} if column.name in aggregate.key else {},
    )


def _lineage(aggregate: Aggregate) -> dg.TableColumnLineage:
    by_column: Mapping[str, list[dg.TableColumnDep]] = {
        name: [dg.TableColumnDep(key_of(table), column) for table, column in aggregate.sources(name)]
        for name in aggregate.columns
    }
    return dg.TableColumnLineage(deps_by_column=by_column)
