"""docs/tables.md says what the database has: each table, view and column, with its type and its comment."""

import re
from pathlib import Path

import pytest

from tests.support.world import World

DOCUMENT = Path(__file__).parents[2] / "docs" / "tables.md"
_CATALOG = """
select
    n.nspname || '.' || c.relname, obj_description(c.oid, 'pg_class'), a.attname,
    format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end,
    col_description(c.oid, a.attnum)
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname in ('analytics', 'raw', 'ops') and c.relkind in ('r', 'p', 'v', 'm')
and not c.relispartition and c.relname <> 'alembic_version'
order by c.oid, a.attnum
"""


@pytest.mark.services
def test_the_reference_says_what_the_database_has(world: World) -> None:
    shown = documented(DOCUMENT.read_text(encoding="utf-8"))
    found: dict[str, list[tuple[str, str, str]]] = {}
    for name, comment, column, kind, meaning in world.query(_CATALOG):
        found.setdefault(name, []).append((column, kind, meaning))
        assert shown.get(name, ("", []))[0].startswith(f"{comment} "), name
    assert {name: sorted(columns) for name, (_, columns) in shown.items()} == {n: sorted(c) for n, c in found.items()}


def test_analysts_find_their_tables_first() -> None:
    schemas = re.findall(r"^### `(\w+)\.", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert list(dict.fromkeys(schemas)) == ["analytics", "raw", "ops"]
    assert sorted(schemas, key=["analytics", "raw", "ops"].index) == schemas


def documented(text: str) -> dict[str, tuple[str, list[tuple[str, str, str]]]]:
    """What the document says of each table: the line about it, and its columns."""
    shown: dict[str, tuple[str, list[tuple[str, str, str]]]] = {}
    for part in text.split("\n### ")[1:]:
        name, _, about, *_ = part.split("\n")
        rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", part, re.MULTILINE)
        shown[name.strip("`")] = about, [(a, b, c.replace("\\|", "|")) for a, b, c in rows]
    return shown
