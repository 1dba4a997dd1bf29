"""Begins a migration that adds a table: `python -m infra.postgres.new_migration analytics.devices_hourly`.

What belongs here: the next number, the `.py` that runs the `.sql`, and the way back. What does not: the `.sql`, which a
person writes; its path is what this prints.
"""

import re
import sys
from pathlib import Path

from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"
_TEXT = '''"""The table {table}."""

from pathlib import Path

from alembic import op

revision = "{number}"
down_revision = "{former}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Drop it."""
    op.execute("drop table {table}")
'''


def begin(table: str, migrations: Path = MIGRATIONS) -> Path:
    """Write the `.py` of the next migration, and return where its `.sql` goes.

    Raises:
        ValueError: the table is not named with its schema.
    """
    if not re.fullmatch(r"(raw|ops|analytics)\.[a-z][a-z0-9_]*", table):
        raise ValueError(f"expected a table with its schema, like analytics.devices_hourly, found {table!r}")
    former = ScriptDirectory(migrations).get_current_head() or "0000"
    number = f"{int(former) + 1:04}"
    file = migrations / "versions" / f"{number}_{table.partition('.')[2]}.py"
    file.write_text(_TEXT.format(table=table, number=number, former=former), encoding="utf-8")
    return file.with_suffix(".sql")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m infra.postgres.new_migration SCHEMA.TABLE")
    try:
        print(begin(sys.argv[1]))  # noqa: T201 - this is its answer
    except ValueError as error:
        raise SystemExit(str(error)) from None
