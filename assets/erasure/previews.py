"""Takes the previews of earlier releases out of Dagster's tables: they show texts that erased users sent.

What belongs here: finding and replacing them. What does not: what is shown today (`aggregates.preview`), which is no
text of a producer's. All go and not only those of one user: whom a text that was cut speaks of, nobody can tell.
"""

import json
from typing import Any

from assets.aggregates.catalog import AGGREGATES
from assets.aggregates.preview import WITHOUT_TEXTS
from assets.erasure.sql import statement
from resources.postgres import Connection

LABEL = "newest_rows"
_AT_ONCE = 200
# Where Dagster keeps what was reported of an asset: every event, and beside the asset the last one.
_TABLES = ("event_logs", "asset_keys")
# As Dagster writes the keys of the assets that are shown with rows.
_ASSETS = tuple(json.dumps(each.table.split(".")) for each in AGGREGATES.values())


def remove(connection: Connection) -> int:
    """Replace them all, some hundred a transaction; how many there were. Nothing where Dagster has no tables.

    Args:
        connection: outside of any transaction.
    """
    if connection.execute("select to_regclass('dagster.event_logs') is null").fetchone() == (True,):
        return 0
    return sum(_remove_from(connection, table) for table in _TABLES)


def _remove_from(connection: Connection, table: str) -> int:
    shown = {"assets": list(_ASSETS), "old": f'%"{LABEL}"%', "new": f"%{WITHOUT_TEXTS}%"}
    ids = [row[0] for row in connection.execute(statement(f"previews_in_{table}"), shown)]
    return sum(_replace(connection, table, ids[at : at + _AT_ONCE]) for at in range(0, len(ids), _AT_ONCE))


def _replace(connection: Connection, table: str, ids: list[int]) -> int:
    rows = connection.execute(statement(f"texts_of_{table}"), {"ids": ids}).fetchall()
    changed = {row_id: json.dumps(_without(json.loads(text))) for row_id, text in rows}
    values = {"ids": list(changed), "texts": list(changed.values())}
    return connection.execute(statement(f"replace_in_{table}"), values).rowcount


def _without(found: Any) -> Any:
    """The same with another text in each entry of that label, wherever it stands."""
    if isinstance(found, list):
        return [_without(each) for each in found]
    if not isinstance(found, dict):
        return found
    whole = {name: _without(value) for name, value in found.items()}
    data = whole.get("entry_data")
    if whole.get("label") == LABEL and isinstance(data, dict) and "md_str" in data:
        return {**whole, "entry_data": {**data, "md_str": WITHOUT_TEXTS}}
    return whole
