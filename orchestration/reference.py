"""Writes `docs/tables.md`: every table and view, by schema, those that analysts read first; and `docs/metrics.md`.

What belongs here: laying out what the metadata, the views and the contract of the metrics say. What does not: texts
about single tables (COMMENTs, in `infra.postgres.tables`, `assets.aggregates.tables` and `infra.postgres.views`) and
metrics (`monitoring.metrics.names`).
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from assets.aggregates.catalog import metadata
from contract.contract import Contract
from infra.postgres.views import SCHEMA, View, views
from monitoring.metrics.names import BOUNDS, METRICS, Group

_SCHEMAS = {
    "analytics": "What analysts read; how to: [analysts.md](analysts.md).",
    "raw": "The events, which analysts read too, and the records that are no events, of which they see the code only.",
    "ops": "Millrace's own tables. Analysts do not see them.",
}
_GROUPS: dict[Group, str] = {
    "totals": "Counters, from `ops.totals`: they only grow, whatever restarts.",
    "lane": "Of each lane that has committed; `lane` is in the grouping key.",
    "lag": "Kafka against what is committed.",
    "health": "Which of the services answer.",
    "state": "What waits, what is stale, what cannot be read.",
    "storage": "Sizes; at most twice a minute.",
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


def metrics(generated: str) -> str:
    """The text of `docs/metrics.md`.

    Args:
        generated: the line that says that it is.
    """
    lines = [
        "# Metrics",
        "",
        f"{generated} Pushed to the Pushgateway in groups, each replaced as a whole.",
        'Every series also carries `job="millrace"` and `collector` with the name of its group.',
        "",
    ]
    for group, about in _GROUPS.items():
        lines += [f"## `{group}`", "", about, "", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
        for name, metric in METRICS.items():
            if metric.group == group:
                labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
                lines.append(f"| `{name}` | {metric.kind} | {labels} | {metric.help} |")
        lines.append("")
    lines += ["## Buckets of the histograms", "", "Upper bounds in seconds; a last one of `+Inf` is implied.", ""]
    lines += [f"* `{name}`: {', '.join(f'{bound:g}' for bound in bounds)}" for name, bounds in BOUNDS.items()]
    return "\n".join([*lines, ""])


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
