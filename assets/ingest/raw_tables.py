"""The raw tables as Dagster shows them: columns with their comments, and how much they hold.

What belongs here: specs, and totals that cost next to nothing. What does not: what a run did (`asset`).

They come from PostgreSQL's own statistics. Runs come every second, and a table of two years has 700 partitions: a
process reads the totals again when fifty times as long has passed as they took, so that the last run before a pause
shows what is stored then. A table of a few thousand rows is counted, since statistics are some seconds late.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from psycopg import sql
from sqlalchemy.dialects import postgresql

from infra.postgres.tables import metadata
from resources.postgres import Connection

TABLES = ("raw.events", "raw.dead_letters")
LAST_RUN = "rows_of_last_run"
_PAUSE = 50  # times as long as reading them took
_COUNTED = 10_000
_DIALECT: Any = postgresql.dialect()
_SIZES = """
select coalesce(sum(s.n_live_tup), 0)::bigint, coalesce(sum(pg_total_relation_size(s.relid)), 0)::bigint
from pg_stat_user_tables as s
where
    s.relid = %(table)s::regclass
    or s.relid in (select i.inhrelid from pg_inherits as i where i.inhparent = %(table)s::regclass)
"""
# Of this session; what it did within the last second would be reported later. Other sessions' follow in a second.
_REPORT = "select pg_stat_force_next_flush()"
_FEW = "select count(*) from (select 1 from {table} limit {limit}) as few"
_MORE: Mapping[str, str] = {
    "raw.events": "An event is in it exactly once. Partitioned by day; the next days' partitions are made ahead. "
    "How to query it: docs/analysts.md.",
    "raw.dead_letters": "Each has a code and a reason: `millrace dead-letters list`. Job: `redrive_dead_letters`. "
    "What to do about many: docs/runbook.md, MillraceDeadLetterStorm.",
}


def raw_spec(table: str, deps: Sequence[dg.AssetKey], owners: Sequence[str]) -> dg.AssetSpec:
    """A raw table as an asset."""
    relation = metadata.tables[table]
    columns = [
        dg.TableColumn(
            c.name,
            type=c.type.compile(_DIALECT).lower(),
            description=c.comment,
            constraints=dg.TableColumnConstraints(nullable=bool(c.nullable)),
            tags={"key": ""} if c.primary_key else {},
        )
        for c in relation.columns
    ]
    return dg.AssetSpec(
        dg.AssetKey(table.split(".")),
        deps=list(deps),
        group_name="raw",
        owners=list(owners),
        kinds={"kafka", "postgres"},
        description=f"{relation.comment}\n\n{_MORE[table]} Table `{table}`. All times are UTC.",
        metadata={"dagster/table_name": table, "dagster/column_schema": dg.TableSchema(columns=columns)},
        tags={"dagster/storage_kind": "postgres"},
    )


@dataclass
class RawTotals:
    """How much the raw tables hold, as this process read it last."""

    clock: Callable[[], float] = time.monotonic
    _read: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    _until: float = 0.0

    def of(self, connection: Connection) -> Mapping[str, Mapping[str, int]]:
        """Rows and bytes by table: of now or of a moment ago, rows about.

        Raises:
            psycopg.Error: PostgreSQL cannot be asked.
        """
        began = self.clock()
        if began >= self._until:
            connection.execute(_REPORT)
            self._read = {table: _total(connection, table) for table in TABLES}
            ended = self.clock()
            self._until = ended + _PAUSE * (ended - began)
        return self._read


def _total(connection: Connection, table: str) -> dict[str, int]:
    row: Any = connection.execute(_SIZES, {"table": table}).fetchone()
    rows = int(row[0])
    if rows < _COUNTED:
        few = sql.SQL(_FEW).format(table=sql.Identifier(*table.split(".")), limit=sql.Literal(_COUNTED))
        [[counted]] = connection.execute(few).fetchall()
        rows = max(rows, counted) if counted == _COUNTED else counted
    return {"dagster/row_count": rows, "total_bytes": int(row[1])}
